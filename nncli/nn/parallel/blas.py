"""The threads of NumPy's BLAS, which its OpenBLAS gets and sets."""

import ctypes
import os
from functools import cache
from importlib import import_module
from typing import Any

from nncli.core.processes import LIMITS


def load_numpy() -> None:
    """Loads NumPy, unless it is loaded, with one thread of BLAS where the environment sets none.

    OpenBLAS makes a thread for each core while it is loaded, which takes as long as all the rest of
    NumPy; `set_blas_threads` makes them later, for a network that is worth them.
    """
    if any(name in os.environ for name in LIMITS):
        return
    os.environ[LIMITS[0]] = "1"
    try:
        import_module("numpy")
    finally:
        del os.environ[LIMITS[0]]


def blas_threads() -> int | None:
    """How many threads a product may use; None where this BLAS does not say."""
    get = _function("get_num_threads")
    return None if get is None else int(get())


def set_blas_threads(count: int) -> None:
    """Gives BLAS `count` threads, in the whole process; does nothing where this BLAS has no way."""
    set_count = _function("set_num_threads")
    if set_count is not None:
        set_count(ctypes.c_int(count))


def arithmetic() -> dict[str, str]:
    """What decides the last bits besides the spec and the number of threads, by name.

    OpenBLAS has kernels, and NumPy loops, for each family of processors; each adds up in an order
    of its own.
    """
    numpy = import_module("numpy")
    found = numpy.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", ())
    config, core = (_function(f"get_{name}") for name in ("config", "corename"))
    kernels = []
    for function in (config, core):
        if function is not None:
            function.restype = ctypes.c_char_p
            kernels.append(function().decode("ascii", "replace"))
    blas = " ".join([*kernels[0].split()[:2], *kernels[1:]]) if kernels else "unknown"
    return {"NumPy": numpy.__version__, "BLAS": blas, "SIMD": " ".join(found[-1:]) or "baseline"}


@cache
def _function(name: str) -> Any:
    """A function of OpenBLAS, looked up among the libraries that NumPy's own module has loaded.

    Wheels of NumPy carry an OpenBLAS whose names have a prefix, and with 64-bit integers a suffix.
    """
    try:
        module = import_module("numpy.linalg._umath_linalg")
        library = ctypes.CDLL(module.__file__)
    except (ImportError, AttributeError, OSError):
        return None
    for prefix in ("scipy_", ""):
        for suffix in ("64_", ""):
            function = getattr(library, f"{prefix}openblas_{name}{suffix}", None)
            if function is not None:
                return function
    return None
