"""A report as one HTML page that needs no network. Imports no torch.

The templates, the style sheet and the script are in page/. The page's content security policy
allows nothing but this very style sheet and this very script, by their hashes: so there are no
style attributes and no handlers in the markup, and whatever a name contains stays text.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..analysis import percentiles
from ..analysis.cells import TIMED
from ..analysis.overview import Overview
from ..analysis.regression import INCONCLUSIVE, SAME, Report
from ..analysis.regression import Cell as Verdict
from . import cost_plots, numbers, page_data, plots, repeat, rows, sentences
from .costs_table import CostsTable
from .heat import Heat
from .visible import visible

FOLDER = Path(__file__).parent / "page"
# With more verdicts than this, those that call for nothing are only in the table.
MOST_VERDICTS = 150


def render(overview: Overview) -> str:
    """The page."""
    style, script = (_asset(name) for name in ("style.css", "page.js"))
    timed = [
        cell for model in overview.models for cell in overview.row(model) if cell.state == TIMED
    ]
    drawn = {cell.column for cell in timed}
    text = (
        _environment()
        .get_template("page.html")
        .render(
            overview=overview,
            policy=_policy(style, script),
            style=style,
            script=script,
            data=embedded(page_data.of(overview)),
            heat=Heat.of(overview),
            timed=timed,
            drawn_columns=[column for column in overview.columns if column in drawn],
            costs=CostsTable.of(timed),
            gate=_gate(overview.gate, overview) if overview.gate else None,
            axis=plots.verdict_axis(overview.gate.cells) if overview.gate else None,
            most_verdicts=MOST_VERDICTS,
            most_calls=cost_plots.most_calls(overview),
            least={
                percentiles.name(share): percentiles.least_samples(share)
                for share in percentiles.SHARES
                if share > 0.5
            },
        )
    )
    # A name may contain what no encoding has, such as half of a surrogate pair.
    return _without_optional_ends(text).encode("utf-8", "replace").decode("utf-8")


def _without_optional_ends(text: str) -> str:
    """The page without end tags that HTML lets one leave out, which large tables are full of.

    No text of the page can contain a tag, since all text is escaped.
    """
    for end in ("</th>", "</td>"):
        text = text.replace(f"{end}<td", "<td").replace(f"{end}<th", "<th")
        text = text.replace(f"{end}</tr>", "</tr>")
    return text.replace("</tr>\n<tr", "\n<tr")


def embedded(data: object) -> Markup:
    """The data as JSON that is safe within a script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII, so without U+2028
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _asset(name: str) -> Markup:
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_final,
    )
    environment.globals.update(
        plots=plots,
        cost_plots=cost_plots,
        numbers=numbers,
        sentences=sentences,
        repeat=repeat,
        verdict_counts=rows.counts,
        verdict_row=rows.row,
        verdict_header=rows.HEADER,
    )
    return environment


def _final(value: object) -> object:
    """What is written for a value of a template."""
    if isinstance(value, Markup):
        return value
    return visible(value) if isinstance(value, str) else numbers.NONE if value is None else value


def _gate(report: Report, overview: Overview) -> dict[str, list[Verdict]]:
    """The verdicts to draw, by model."""
    few = len(report.cells) <= MOST_VERDICTS
    found: dict[str, list[Verdict]] = {}
    places = {column.title: number for number, column in enumerate(overview.columns)}
    for cell in sorted(
        report.cells, key=lambda each: (each.model, places.get(each.column, len(places)))
    ):
        if few or cell.verdict not in (SAME, INCONCLUSIVE):
            found.setdefault(cell.model, []).append(cell)
    return found
