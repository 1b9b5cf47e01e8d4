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
# A block without a language is output; it is shown as it is.
highlight_language = "none"

html_theme = "furo"
html_title = "deploybench"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
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
    source[0] += contents("Overview", "[README](../README.md)")
    for section in text.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        source[0] += contents(title, body)


def contents(caption: str, body: str) -> str:
    """The links of `body` as a table of contents in MyST's notation, seen in the sidebar only."""
    links = re.findall(r"\[([^]]+)\]\(([^)]+)\.md\)", body)
    listed = "\n".join(f"{title} <{page}>" for title, page in links)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"
