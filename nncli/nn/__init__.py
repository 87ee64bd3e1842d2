"""The network mathematics: one implementation of forward, backward and update.

`step` fills named, preallocated arrays with every quantity of a step, and `trace` copies them into
a record. A `network` is a tuple of layers, one kind a file in `layers/`, with all parameters in one
flat vector; `activations`, `costs` and `optimizers` are tables of rules, each with what the rest of
nncli has to know of a row. `parallel/` shares a step out among cores.

It may import NumPy and core, nothing else. Start with `arrays` (what an operation and a rule are),
`layers/base` and `layers/dense`, then `passes` and `step`.
"""
