"""What nncli can do: one call a command, in the file named for it.

A function takes a spec, a run folder or their paths, and returns a record of `records`, which holds
data and what follows from them. Nothing here prints, and nothing is kept between calls.

`pipeline` takes a spec to its data, layers, network and plan; `opening` opens the path of a spec or
a run; `weights` reads the weights that a spec starts from. `nncli schema` alone needs no call here,
but `nncli.spec.schema`. Start with `pipeline`, then `train`.

It may import NumPy and every package below it: spec, data, nn, training, inspection, filtering,
exchange and core. `nncli.render` imports its records alone, `nncli.cli` its functions.
"""
