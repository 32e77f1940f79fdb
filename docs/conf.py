"""Sphinx settings: `pip install -e ".[docs]" && sphinx-build docs build/docs`."""

import mllm_probe

project = "mllm_probe"
author = "the mllm_probe contributors"
release = mllm_probe.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["build"]
numpydoc_show_class_members = False
autodoc_typehints = "none"
myst_heading_anchors = 2
html_title = f"mllm_probe {release}"
