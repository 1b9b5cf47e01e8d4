"""How Sphinx builds the documentation; run it by `make docs`.

The source folder is the root of the repository, so that links to README.md and CHANGELOG.md hold on
the site as they do in the repository.
"""

from __future__ import annotations

import re
from typing import Any

project = "deploybench"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "docs/*.md"]
# Folders that Sphinx need not search.
exclude_patterns = [".*", "cpp", "deploybench", "results", "site", "tests", "tools"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = "deploybench"
html_copy_source = False
html_show_copyright = False
pygments_style = "default"
pygments_dark_style = "github-dark"


def setup(app: Any) -> None:
    """Register what follows."""
    app.connect("source-read", add_table_of_contents)


def add_table_of_contents(app: Any, page: str, source: list[str]) -> None:
    """Make the sections and links of the index the site's navigation.

    Sphinx wants directives for it, which readers of the plain Markdown would see as noise.
    """
    if page != root_doc:
        return
    text = source[0]
    source[0] += contents("Overview", ["../README.md"])
    for section in text.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        source[0] += contents(title, re.findall(r"\]\(([^)]+\.md)\)", body))


def contents(caption: str, pages: list[str]) -> str:
    """A hidden table of contents in MyST's notation; it is seen in the sidebar only."""
    listed = "\n".join(page.removesuffix(".md") for page in pages)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"
