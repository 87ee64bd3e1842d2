"""How Sphinx builds the site; `make docs` calls it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from nncli import __version__

project = "nncli"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docs.extension"]
exclude_patterns = ["_build", "extension", "notebooks"]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_block"]
myst_heading_anchors = 3
smartquotes = False  # -- is two signs in an option
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r".*")]  # types of signatures, which have no pages
highlight_language = "none"  # a block that names no language is a formula
napoleon_use_ivar = True
default_role = "code"  # docstrings have names in single backticks
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = "nncli"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_copyright = False
