"""The plots of a report's page that show costs, the roofline, and errors. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from markupsafe import Markup

from ..analysis.cells import TIMED, Cell
from ..analysis.overview import Overview
from . import numbers
from .svg import Drawing, LogAxis, Place, log_axis

COLOURS = 8
STEPS = 9
# How many times eager's total time the break-even plot shows.
MOST_TIMES = 20.0
LABELLED_MODELS = 12
# With more cells, a mark has no hint of its own, since a page of all would be too large.
MOST_HINTS = 200


def series(overview: Overview, cell: Cell) -> str:
    """The classes of a column's colour, and of its dashes or shape once colours repeat."""
    number = overview.columns.index(cell.column)
    return f"s{number % COLOURS} k{number // COLOURS % 3}"


def break_even(overview: Overview, model: str, most_calls: float) -> Markup | None:
    """The time of n calls with the export, as a multiple of eager's, over n; None without eager."""
    cells = [cell for cell in overview.row(model) if cell.state == TIMED]
    baselines = {cell.column.label: cell for cell in cells if cell.column.is_baseline}
    others = [cell for cell in cells if not cell.column.is_baseline and cell.ready_ms]
    pairs = [(cell, baselines.get(cell.column.label)) for cell in others]
    lines = [(cell, eager.latency_ms) for cell, eager in pairs if eager and eager.latency_ms]
    if not lines:
        return None
    calls = LogAxis(1, most_calls, 40, 388)
    ratios = [(cell.latency_ms or 1.0) / eager for cell, eager in lines]
    total = log_axis([*ratios, 1.0, MOST_TIMES], 182, 20, 1.15)
    drawing = Drawing(400, 222, f"Break-even of {model}: total time over calls", "lines")
    _grid(drawing, calls, total, "calls", "total time, times eager's")
    drawing.line((calls.start, total.at(1)), (calls.end, total.at(1)), "one")
    for cell, eager in lines:
        css = series(overview, cell)
        _cost_line(drawing, cell, eager, calls, total, css, len(overview.cells) <= MOST_HINTS)
    return drawing.markup()


def most_calls(overview: Overview) -> float:
    """Up to how many calls the break-even plots reach: beyond nearly all cells' break-even."""
    known = sorted(
        int(cell.break_even) for cell in overview.cells.values() if cell.break_even.isdigit()
    )
    usual = known[len(known) * 9 // 10] if known else 0
    return 10.0 ** max(4, len(str(usual)) + 1)


def _cost_line(
    drawing: Drawing,
    cell: Cell,
    eager: float,
    calls: LogAxis,
    total: LogAxis,
    css: str,
    hinted: bool,
) -> None:
    ready, latency = cell.ready_ms or 0.0, cell.latency_ms or 0.0
    # Where the line comes into view from above.
    above = total.most * eager - latency
    first = max(1.0, ready / above) if above > 0 else calls.most
    if first >= calls.most:
        return
    points = [first * (calls.most / first) ** (step / STEPS) for step in range(STEPS + 1)]
    places = [(calls.at(n), total.at((ready / n + latency) / eager)) for n in points]
    hint = f"{cell.column.title}: break-even after {cell.break_even} calls" if hinted else ""
    drawing.path(places, f"curve {css}", hint)
    if latency < eager:
        crossing = ready / (eager - latency)
        if 1 <= crossing <= calls.most:
            drawing.circle((calls.at(crossing), total.at(1)), 3.5, f"dot {css}")


def roofline(overview: Overview) -> Markup | None:
    """Operations a second over operations a byte, below the roof of the device."""
    # A rate of 0 is one that could not be measured.
    of_runs = (run.peak for run in overview.runs if run.peak is not None)
    peaks = [peak for peak in of_runs if peak.flops_per_second and peak.bytes_per_second]
    found = [(cell, place) for cell in _timed(overview) if (place := _rates(cell)) is not None]
    if not peaks or not found:
        return None
    flops = median(peak.flops_per_second for peak in peaks)
    bandwidth = median(peak.bytes_per_second for peak in peaks)
    left, right, top, bottom = 52, 470, 40, 268
    ridge = flops / bandwidth
    intensity = log_axis([ridge, *(place[0] for _, place in found)], left, right, 1.4)
    rate = log_axis([flops, *(place[1] for _, place in found)], bottom, top, 1.5)
    drawing = Drawing(480, 308, "Roofline: operations a second over operations a byte", "scatter")
    _grid(drawing, intensity, rate, "operations per byte of weights", "operations a second")
    begin = max(intensity.least, rate.least / bandwidth)
    corner = min(max(ridge, begin), intensity.most)
    roof = [(begin, bandwidth * begin), (corner, min(flops, bandwidth * corner))]
    roof.append((intensity.most, min(flops, bandwidth * intensity.most)))
    drawing.path([(intensity.at(x), rate.at(y)) for x, y in roof], "roof", "the hardware's limit")
    _name_models(drawing, {cell.model: intensity.at(place[0]) for cell, place in found}, top)
    for cell, (x, y) in found:
        times = numbers.significant(cell.times_floor)
        hint = f"{cell.model}, {cell.column.title}: {times} times the limit"
        hint = hint if len(found) <= MOST_HINTS else ""
        _mark(drawing, (intensity.at(x), rate.at(y)), series(overview, cell), hint)
    return drawing.markup()


def _rates(cell: Cell) -> Place | None:
    flops, size = cell.median_of("flops"), cell.median_of("weight_bytes")
    if not flops or not size or not cell.latency_ms:
        return None
    return flops / size, 1e3 * flops / cell.latency_ms


def _name_models(drawing: Drawing, places: dict[str, float], top: float) -> None:
    """Names above a plot, in three rows that take turns."""
    if len(places) > LABELLED_MODELS:
        return
    ordered = sorted(places, key=lambda model: places[model])
    for number, model in enumerate(ordered):
        height = 11 + 12 * (number % 3)
        drawing.line((places[model], height + 2), (places[model], top), "leader")
        side = "name" if places[model] > 400 else "across"
        drawing.text((places[model], height), model, f"tick {side}", 22)


def errors(overview: Overview) -> Markup | None:
    """The error of each answer over its margin, both in units of eager's own error."""
    checks = [(cell, cell.check) for cell in _timed(overview)]
    found = [
        (cell, check.margin, check.error)
        for cell, check in checks
        if check is not None and check.margin and check.error > 0
    ]
    if not found:
        return None
    left, right, top, bottom = 52, 470, 40, 268
    margin = log_axis([each for _, each, _ in found], left, right, 1.4)
    error = log_axis([1.0, *(each for _, _, each in found)], bottom, top, 1.6)
    drawing = Drawing(480, 308, "Error of each answer over its margin", "scatter")
    _grid(drawing, margin, error, "margin", "error")
    low, high = max(margin.least, error.least), min(margin.most, error.most)
    if low < high:
        ends = [(margin.at(each), error.at(each)) for each in (low, high)]
        drawing.path(ends, "roof", "here the error is as large as the margin")
    _name_models(drawing, {cell.model: margin.at(each) for cell, each, _ in found}, top)
    for cell, x, y in found:
        hint = f"{cell.model}, {cell.column.title}: error {y:.3g}, margin {x:.3g}"
        hint = hint if len(found) <= MOST_HINTS else ""
        _mark(drawing, (margin.at(x), error.at(y)), series(overview, cell), hint)
    return drawing.markup()


def _timed(overview: Overview) -> list[Cell]:
    return [cell for cell in overview.cells.values() if cell.state == TIMED]


def _mark(drawing: Drawing, place: Place, css: str, hint: str) -> None:
    """A circle, a square or a diamond, by the class k0, k1 or k2."""
    x, y = place
    if css.endswith("k0"):
        drawing.circle(place, 4, f"mark {css}", hint)
    elif css.endswith("k1"):
        drawing.box((x - 3.5, y - 3.5), 7, 7, f"mark {css}", hint)
    else:
        corners: Sequence[Place] = [(x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y), (x, y - 5)]
        drawing.path(corners, f"mark {css}", hint)


def _grid(drawing: Drawing, across: LogAxis, up: LogAxis, x_title: str, y_title: str) -> None:
    columns = [(across.at(tick), tick) for tick in across.ticks(7)]
    lines = [(up.at(tick), tick) for tick in up.ticks(6)]
    strokes = [[(place, up.end), (place, up.start)] for place, _ in columns]
    strokes += [[(across.start, place), (across.end, place)] for place, _ in lines]
    drawing.paths(strokes, "grid")
    for place, tick in columns:
        drawing.text((place, up.start + 14), numbers.compact(tick), "tick across")
    for place, tick in lines:
        drawing.text((across.start - 5, place + 4), numbers.compact(tick), "tick name")
    drawing.text(((across.start + across.end) / 2, up.start + 31), x_title, "axis across")
    drawing.text((8, up.end - 8), y_title, "axis")
