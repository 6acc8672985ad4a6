"""How Sphinx makes the site of these pages; `make docs` runs it. Nothing is loaded from a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "STimage-1K4M, spot by spot"
html_title = project
extensions = ["myst_parser", "sphinx.ext.napoleon", "jobs_reference", "notebooks"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext", ".ipynb": "markdown"}
myst_heading_anchors = 4  # as GitHub makes them, so that links hold in both places
suppress_warnings = ["myst.header"]
html_theme = "furo"
html_show_search_summary = False  # Sphinx would fetch each page found, which browsers refuse for file://
html_show_sphinx = False
html_copy_source = False
html_show_copyright = False
maximum_signature_line_length = 80
napoleon_use_rtype = False
nitpicky = False
