"""What rich has no drawing for, or a slower one: tables, curves, heat maps, pictures.

A widget takes numbers and words, knows no record, and draws within the width that it is given; with
colour where there is colour, and without losing anything where there is none. It may import rich,
NumPy, core, of nn the type of its arrays, and what is beside it in render, but neither pages nor
formats. Start with `tables`.
"""
