"""Pages for a browser: one file each, which needs no other and asks no server for anything.

A page is the words, tables and drawings of a record as semantic HTML, complete with scripts off.
Scripts make it interactive: they read the record that the page carries, as JSON and as arrays
(`record`), and add nothing that the record does not say, except where a reader changes a number
and is told so. `page` puts the parts together; what a page says is in a file of its own, and the
scripts and the style are in `assets`, written by hand, joined as they are.

It may import NumPy, core, nn, filtering, inspection, training, the records of app, and what is
beside it in render, but no pages and no formats.
Start with `page`, then `assets/record.js`.
"""
