"""How many threads NumPy's BLAS uses. NumPy itself cannot be asked, its OpenBLAS can."""

import ctypes
from functools import cache
from importlib import import_module
from typing import Any


def blas_threads() -> int | None:
    """How many threads a product may use; None where the BLAS is not one that can be asked."""
    ask = _function("get_num_threads")
    return None if ask is None else int(ask())


def set_blas_threads(count: int) -> None:
    """Gives BLAS `count` threads, in the whole process; where it cannot be told, nothing."""
    tell = _function("set_num_threads")
    if tell is not None:
        tell(ctypes.c_int(count))


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
