"""How the documentation is built: `make docs`."""

import ebm_causal

project = "ebm_causal"
copyright = "the authors of ebm_causal"
release = version = ebm_causal.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath", "amsmath"]
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}  # docs/examples leads to the examples
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # progress and remarks of other libraries

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"ebm_causal {release}"
exclude_patterns = ["_build", "conf.py"]
