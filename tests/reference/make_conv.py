"""Records what PyTorch and SciPy make of some matrices and filters, as tests/reference/conv.npz.

To be run by hand, from the root of the repository, in an environment of its own:

    pip install torch==2.13.0 scipy==1.17.1 numpy==2.4.6
    python -m tests.reference.make_conv

Nothing of nncli is used. `cases` in the file is JSON: for each case who made it, the names of its
matrix and filter, and the arguments in nncli's words; its output is `output0`, `output1`, ...
"""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import torch
import torch.nn.functional as F

PATH = Path(__file__).with_name("conv.npz")
TORCH_MODES = {m: m for m in ("reflect", "replicate", "circular")} | {"zeros": "constant"}
SCIPY_MODES = {"zeros": "fill", "circular": "wrap", "symmetric": "symm"}


def by_torch(
    image: Any,
    filter: Any,
    *,
    stride: Any,
    padding: Any,
    padding_mode: Any,
    dilation: Any,
    summed: bool = True,
) -> Any:
    """Of rows x columns, or of channels x rows x columns, which are summed or kept apart."""
    shape = (-1, *image.shape[-2:])
    padded = F.pad(
        torch.from_numpy(image.reshape(shape))[None],
        (padding[1], padding[1], padding[0], padding[0]),
        mode=TORCH_MODES[padding_mode],
    )
    weight = torch.from_numpy(filter.reshape(-1, *filter.shape[-2:]))
    weight, groups = (weight[None], 1) if summed else (weight[:, None], len(weight))
    output = F.conv2d(padded, weight, stride=stride, dilation=dilation, groups=groups)[0].numpy()
    return output[0] if summed else output


def by_scipy(image: Any, filter: Any, *, padding: Any, padding_mode: Any, flip: Any) -> Any:
    rule = scipy.signal.convolve2d if flip else scipy.signal.correlate2d
    return rule(image, filter, mode=padding, boundary=SCIPY_MODES[padding_mode])


def torch_cases() -> Iterator[Any]:
    for filter, mode, steps in product(
        ("odd", "wide"), TORCH_MODES, (((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 2), (2, 1)))
    ):
        stride, dilation = steps
        yield (
            "torch",
            "small",
            filter,
            {"stride": stride, "padding": (3, 2), "padding_mode": mode, "dilation": dilation},
        )
    yield (
        "torch",
        "large",
        "big",
        {"stride": (1, 1), "padding": (8, 10), "padding_mode": "reflect", "dilation": (1, 1)},
    )


def torch_channel_cases() -> Iterator[Any]:
    """One filter for each channel (groups = channels), and their sum, as in a conv layer."""
    for summed, mode in product((False, True), TORCH_MODES):
        how = {"stride": (2, 1), "padding": (3, 2), "padding_mode": mode, "dilation": (1, 2)}
        yield "torch", "channels", "own", how | {"summed": summed}


def scipy_cases() -> Iterator[Any]:
    for padding, mode, flip in product(("same", "full"), SCIPY_MODES, (False, True)):
        yield "scipy", "small", "odd", {"padding": padding, "padding_mode": mode, "flip": flip}
    for flip in (False, True):
        how = {"padding": "valid", "padding_mode": "zeros", "flip": flip}
        yield "scipy", "small", "wide", how
        yield "scipy", "large", "big", how


def main() -> None:
    rng = np.random.default_rng(0)
    shapes: dict[str, Any] = {
        "small": (9, 11),
        "large": (34, 36),
        "odd": (3, 5),
        "wide": (2, 4),
        "big": (17, 21),
    }
    shapes |= {"channels": (3, 9, 11), "own": (3, 3, 4)}
    arrays: dict[str, Any] = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    cases: list[Any] = []
    for source, image, filter, how in (*torch_cases(), *scipy_cases(), *torch_channel_cases()):
        make = by_torch if source == "torch" else by_scipy
        arrays[f"output{len(cases)}"] = make(arrays[image], arrays[filter], **how)
        cases.append({"source": source, "image": image, "filter": filter, "how": how})
    np.savez_compressed(PATH, cases=json.dumps(cases), **arrays)
    print(f"{len(cases)} cases, {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
