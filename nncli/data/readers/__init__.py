"""Readers: from bytes to arrays and tables.

`files` opens a path, unpacks gzip within bounds and refuses what grows without end; `rows` reads
.csv and .tsv as `tables` of samples (`headers` finds theirs), `text` reads them (and blanks) as
one matrix, `arrays` .npy, .npz and IDX, and rows of large files, `images` pictures. `read` chooses
by first bytes and name for data, `matrices` and `filters` for `nncli conv`.

Each raises DataError with the file, the row and the column. They may import NumPy, core, of data
`samples`, `targets` and `messages`, and Pillow where an image is read. Start with `read`, then
`tables`.
"""
