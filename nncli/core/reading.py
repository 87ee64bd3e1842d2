"""What targets, and the outputs of a network, say of a sample."""

from typing import Literal

Reading = Literal["classes", "labels", "numbers"]
"""One of some classes: one-hot, or of two classes one number, 1 for the second; labels: numbers of
0 or 1, any of which may be 1; or plain numbers."""
