"""What a table's columns become: words, gaps and dates made numbers, by rules kept with a run.

`kinds` has a rule for each kind of column; `recognise` finds out which kind one is, `choice` which
columns are inputs and targets, `samples` puts them to use.

It may import NumPy and core, and of data the readers. Start with `kinds`, then `samples`.
"""
