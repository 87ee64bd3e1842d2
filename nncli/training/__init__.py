"""Training: steps, epochs, their history, checkpoints and the run folder.

`Trainer` yields events (`Progress`, `Epoch`, `Divergence`, `Failure`) and never prints or writes;
its `Watch` looks at the conditions of a spec. `RunFolder` and `CheckpointWriter` put a training on
the disk, so that it can be resumed to the bit. `evaluate` measures a network on samples.

It may import NumPy, core and nn. It knows nothing of specs and of how data are read, but takes a
`SampleSet` and a `Plan`. Start with `steps` and `trainer`; then `checkpoint` and `run_folder`.
"""
