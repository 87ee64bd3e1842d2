"""Exercises: a step with blanks in it, and the marks for what a student writes into them.

`draws` chooses numbers that can be computed by hand, `kinds` has a row for each kind of exercise,
`sheet` is the record of one, with its `working`: the products behind every blank. `marking` marks
the answers to it.

It may import NumPy, core and nn. Start with `kinds`, then `sheet`.
"""
