"""A report as one HTML page that needs no network. Imports no torch.

The templates, the style sheet and the script are in page/. The page's content security policy
allows nothing but this very style sheet and this very script, by their hashes: so there are no
style attributes and no handlers in the markup, and whatever a name contains stays text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from markupsafe import Markup

from ..analysis import percentiles
from ..analysis.cells import TIMED
from ..analysis.overview import Overview
from ..analysis.regression import INCONCLUSIVE, SAME, Report
from ..analysis.regression import Cell as Verdict
from ..analysis.trends import Trend
from ..records.explanation import Explanation
from . import (
    cost_plots,
    explanation,
    explanation_plot,
    history_page,
    numbers,
    page_data,
    plots,
    repeat,
    rows,
    sentences,
    template,
)
from .costs_table import CostsTable
from .heat import Heat

# With more verdicts than this, those that call for nothing are only in the table.
MOST_VERDICTS = 150
# With more layers than this, those far from the first one beyond the limit are only drawn.
MOST_LAYERS = 400


def render(
    overview: Overview, trends: Sequence[Trend] = (), explanations: Sequence[Explanation] = ()
) -> str:
    """The page. trends, explanations: also shown, if there are any."""
    style, script = (template.asset(name) for name in ("style.css", "page.js"))
    timed = [
        cell for model in overview.models for cell in overview.row(model) if cell.state == TIMED
    ]
    drawn = {cell.column for cell in timed}
    return template.render(
        "page.html",
        overview=overview,
        policy=template.policy(style, script),
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
        history=history_page.shown(trends) if trends else None,
        row_titles=history_page.ROW,
        explanations=[(each, explanation.table(each, _all(each))) for each in explanations],
        explanation_plot=explanation_plot,
        plots=plots,
        cost_plots=cost_plots,
        numbers=numbers,
        sentences=sentences,
        repeat=repeat,
        verdict_counts=rows.counts,
        verdict_row=rows.row,
        verdict_header=rows.HEADER,
    )


def _all(each: Explanation) -> bool:
    return len(each.layers) <= MOST_LAYERS


def embedded(data: object) -> Markup:
    """The data as JSON that is safe within a script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII, so without U+2028
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


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
