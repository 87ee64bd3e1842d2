"""Which nncli this is."""

from functools import cache


@cache
def own_version() -> str:
    """The version that is installed, as records of runs name it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nncli")
    except PackageNotFoundError:  # run from its source
        return "unknown"
