"""Somebody else's step: compared with the record of the same one, and its mistake named.

`names` finds out which array is what, `digits` how precisely it was given, and `judge` what is
wrong with it. `record` is what is found. Start with `checking`, then `judge`.

It may import NumPy, core and nn.
"""
