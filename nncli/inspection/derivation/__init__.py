"""A step as a derivation: one statement after the other, each with the numbers that it is about.

`derive` puts the lessons in order, `lessons` says what each holds; those of the way forward, back,
of the gradients and of the end are made in a file each, and `focus` chooses which numbers of a
large network are followed. `wrong` puts a classic mistake beside what is right. The sentences are
in `nncli.render.pages.explain`.

It may import NumPy, core, nn and inspection. Start with `lessons`, then `derive`.
"""
