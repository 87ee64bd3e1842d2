"""The whole of the site, in an environment that has Sphinx; see `make docs`.

Nothing here is collected where Sphinx is not installed, as for `make test`.
"""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("sphinx") else ["test_*.py"]
