"""Readers: one file for each format, from bytes to arrays, and what they have in common.

`files` opens a path, unpacks gzip within bounds and refuses what grows without end; `tables` and
`rows` read .csv and .tsv as samples, `text` reads them (and blanks) as one matrix, `arrays` .npy,
.npz and lists, `idx` MNIST's format, `images` pictures; `mapped` reads rows of large .npy files.
`read` chooses by name and first bytes for data, `matrices` and `filters` for `nncli conv`.

Each raises DataError with the file, the row and the column. They import core, NumPy, and Pillow
where an image is read. Start with `read`, then `tables`.
"""
