"""The screens of `nncli explain`: a derivation as text, a page a lesson.

`screens` has the table of what each lesson is made into. What is said of the way forward, back
(through dense layers and σ; the others are in `windows`), of the gradients, at the end and of
mistakes is in a file each; `fitting` cuts a page up into screens, `reader` shows them by keys,
`questions` asks for their numbers.

It may import rich, NumPy, core, inspection, nn and what render may. Start with `screens`.
"""
