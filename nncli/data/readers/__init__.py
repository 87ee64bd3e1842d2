"""Readers: from bytes to arrays and tables.

`files` opens a path, unpacks gzip within bounds and refuses what grows without end; `rows` reads
tables of text as `tables` of samples (`headers` finds theirs), those of numbers alone by
`number_tables` and `numbers`, with a `helper` on a second core; `text` reads them (and blanks) as
one matrix, `arrays` .npy, .npz and IDX, and rows of large files, `images` pictures; `sheets` makes
CSV of Parquet, Feather, Excel and JSON lines. `read` chooses by first bytes and name for data,
`matrices` and `filters` for `conv`.

Each raises DataError with the file, the row and the column. They may import NumPy, core, of data
`samples`, `targets` and `messages`, Pillow where an image is read, pyarrow and openpyxl where a
file of theirs is. Start with `read`, then `tables`.
"""
