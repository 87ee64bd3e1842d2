"""How the arrays and texts are called that a file holds besides weights and biases."""

FORMAT = "nncli.weights/1"  # what metadata call a file of weights in nncli's own layout
OFFSET, DIVISOR = "scaling.offset", "scaling.divisor"
BUFFERS = ("offset", "divisor")  # of an exported PyTorch module, besides its layers' parameters
# What others write into files of PyTorch's weights, so that readers know which way round they are.
PYTORCH = {"format": "pt", "written_by": "nncli"}
