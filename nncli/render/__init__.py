"""A record becomes something to read: on the terminal, as text, JSON, Markdown, LaTeX or a picture.

A function here takes a record (and, for the terminal, a width) and returns what there is to read;
nothing is computed that the record does not say, and nothing is read or trained. `pages` makes
pages of records; `document` holds the blocks that pages are made of; `formats` writes them;
`terminal` draws them with `widgets`, `web` for a browser. `notation` is the one list of quantities
with their symbols, `text` writes numbers and arrays, `streams` is standard output and error.
Start with `document`, then `pages.breakdown`.

It may import rich, which no other package may, NumPy, core, the packages whose records it shows,
which are nn, filtering, inspection and training, and of app the records. Within it, imports point
one way:
formats and pages -> terminal, web -> widgets -> document -> text, notation.
"""
