"""From a record to what is read of it: a file a record, or a part of one.

Of a step `breakdown` is the whole page; its parts are what `kinds` say of each layer, with the four
views of its gradient, `matrices`, `update` and `proof`. Of a filter over a matrix
`filtering` is the page, `windows` one window of it, or all in turn. The others are named for what
they show.

A page is blocks of `nncli.render.document` where it can be written in many formats, and else
something that rich prints. The same file has the record as JSON. It may import rich, NumPy, core,
the packages whose records it shows, which are nn, filtering, inspection, training and of app the
records, and what is beside it in render, but no formats. Start with `layers`, then `breakdown`.
"""
