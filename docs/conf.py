"""How Sphinx makes the site; `python docs/build.py` calls it. Nothing is loaded from elsewhere."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import numpydoc.xref  # noqa: E402
from api import homes  # noqa: E402

import speechgmm  # noqa: E402

project = "speechgmm"
author = "The speechgmm developers"
project_copyright = author
version = release = speechgmm.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "api",
    "commands",
    "looks",
    "mathml",
    "notebooks",
]
exclude_patterns = ["README.md", "_*", "**/_*"]
default_role = "py:obj"  # what docstrings have in single backticks: a link where that is a public name
nitpicky = True  # a reference into the package that leads nowhere is a warning; see `api.py`

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist", "attrs_inline"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_use_type_comments = False
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_use_plots = False
numpydoc.xref.DEFAULT_LINKS.clear()  # they lead to other sites: what the words mean is said in each place
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {
    home.rpartition(".")[2]: home for home in homes().values() if home.rpartition(".")[2].istitle()
}

html_theme = "furo"
html_title = "speechgmm"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#2456a6", "color-brand-content": "#2456a6"},
    "dark_css_variables": {"color-brand-primary": "#8ab4f8", "color-brand-content": "#8ab4f8"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"
copybutton_selector = "div.highlight-console pre, div.highlight-python pre, div.highlight-pycon pre"
