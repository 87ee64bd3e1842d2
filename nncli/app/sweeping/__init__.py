"""Many trainings of one spec: which there are, what becomes of each, and where they run.

`planned` names the trials and `trial` trains one. `runners` says what a `Runner` is, all that a
sweep knows of where its trials run: it takes tasks, and tells their outcomes. `processes` and
`worker` are one, which outlives a process that dies; `cluster` is another, whose workers do what
`remote` says, on one of the `places`. `shared` are data that one process reads and the others map.
`journal` keeps what became of each.
`nncli.app.sweep` puts them together. Start reading at `trial`.

It may import core, spec, data, nn, training and the rest of app.
"""
