"""The documentation site; `make docs` builds it and runs all that it shows."""
