"""Filters over matrices: what `nncli conv` computes, for matrices and filters of any size.

`correlate` is a strided, dilated, padded cross-correlation (or true convolution) of one matrix, or
of one per channel, and has its backward pass beside it. `plan` chooses among five algorithms by an
estimate of their time and works tile by tile; `record` is what `nncli conv` shows.

It may import NumPy, core and nn, whose `windows` has the geometry and the im2col of the conv layer.
Start reading at `correlate`, then `plan`, then one of the algorithms (`direct`,
`im2col`, `separable`, `toeplitz`, `fft`).
"""
