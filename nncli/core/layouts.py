"""How the dense weights of a file may lie."""

from typing import Literal

Layout = Literal["nncli", "pytorch"]
"""nncli's inputs x units, or PyTorch's outputs x inputs."""
