"""Trained networks in the formats of other programs, both ways.

`formats.EXPORT_FORMATS` has a row for each format that is written: ONNX (`onnx_graph`), a PyTorch
module (`pytorch`), safetensors and npz. `importing` fits the arrays of a file of weights to the
layers of a network. Networks are read by `from_onnx` (its nodes: `onnx_operators`) and `from_torch`
(what a model calls: `torch_calls`, by `torch_trace`), which tell `foreign_network` what comes next.

It may import NumPy, core, nn and, where that is asked for, the packages onnx and torch. Start with
`trained`, the network that the writers get, then `formats`.
"""
