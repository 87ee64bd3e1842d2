"""Trained networks in the formats of other programs, both ways.

`formats.EXPORT_FORMATS` has a row for each format that is written: ONNX (`onnx_graph`), a PyTorch
module (`pytorch`), safetensors and npz. `importing` fits the arrays of a file of weights to the
layers of a network.

It may import NumPy, core, nn and, where that is asked for, the package onnx. Start with `trained`,
the network that the writers get, then `formats`.
"""
