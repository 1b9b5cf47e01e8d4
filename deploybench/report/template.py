"""What all pages share: templates, style sheet and content security policy. Imports no torch."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import numbers
from .visible import visible

FOLDER = Path(__file__).parent / "page"


def render(name: str, **values: object) -> str:
    """The template of that name with these values; text is escaped, whatever is in it.

    style: the style sheet. policy: what allows nothing but it; a page with a script replaces both.
    """
    style = asset("style.css")
    text = (
        _environment()
        .get_template(name)
        .render(**{"style": style, "policy": policy(style), **values})
    )
    text = _without_optional_ends(text)
    # A name may contain what no encoding has, such as half of a surrogate pair.
    return text.encode("utf-8", "replace").decode("utf-8")


def _without_optional_ends(text: str) -> str:
    """The page without end tags that HTML lets one leave out, which large tables are full of.

    No text of the page can contain a tag, since all text is escaped.
    """
    for end in ("</th>", "</td>"):
        text = text.replace(f"{end}<td", "<td").replace(f"{end}<th", "<th")
        text = text.replace(f"{end}</tr>", "</tr>")
    return text.replace("</tr>\n<tr", "\n<tr")


def asset(name: str) -> Markup:
    """A file of the pages that is put into one as it is."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def policy(style: str, script: str = "") -> str:
    """A content security policy that allows this style sheet and this script alone."""
    scripts = f"script-src '{_digest(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; {scripts}"
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_final,
    )


def _final(value: object) -> object:
    """What is written for a value of a template."""
    if isinstance(value, Markup):
        return value
    return visible(value) if isinstance(value, str) else numbers.NONE if value is None else value
