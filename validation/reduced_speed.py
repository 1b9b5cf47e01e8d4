#!/usr/bin/env python3
"""How many times as fast as eager reduced precision is, and how far that is from the goals.

    .venv/bin/python -m deploybench bench --backends eager,onnxruntime-int8,... --save int8
    .venv/bin/python validation/reduced_speed.py int8

Without a saved run, it measures one. For each kind of column it prints the geometric mean of the
fastest column of each model, and of the best column that all models have, with the 95% interval:
over the processes of several runs, or over the rounds of one. The figures are those of `deploybench
speedup` and of the report. Random weights are enough for the speed, and no ground for a verdict on
the answers, so their marks are printed too. It needs a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.analysis import geometric_mean, labels, speedup
from deploybench.analysis.geometric_mean import Pair
from deploybench.analysis.speedup import Speedup
from deploybench.errors import DeploybenchError
from deploybench.models import references
from deploybench.records import store
from deploybench.records.record import CaseRecord, RunRecord
from deploybench.settings import BASELINE

BACKENDS = (
    *("eager", "cpp", "frozen-cpp", "aoti-cpp", "onnxruntime", "onnxruntime-cpp"),
    *("onnxruntime-int8", "onnxruntime-int8-cpp"),
    *("openvino", "openvino-cpp", "openvino-int8", "openvino-int8-cpp"),
)
CONFIDENCE = 0.95

Pairs = Mapping[str, Mapping[str, Sequence[Pair]]]
"""By model and column: eager and the column's case, one pair for each process."""


@dataclass(frozen=True)
class Goal:
    """What the fastest columns of a kind must reach: times eager, in geometric mean."""

    name: str
    times: float
    has: Callable[[CaseRecord], bool]


GOALS = (
    Goal("reduced precision", 3.5, lambda case: case.reduced is not None),
    Goal("C++", 3.0, lambda case: case.needs_python is False),
    Goal("float32", 2.5, lambda case: case.reduced is None),
)


def pairs_of(runs: Sequence[RunRecord], has: Callable[[CaseRecord], bool]) -> Pairs:
    """The pairs of the columns of a kind."""
    found: dict[str, dict[str, list[Pair]]] = {}
    for run in runs:
        eager = {case.model: case for case in run.cases if case.backend == BASELINE}
        for case in run.cases:
            if case.model in eager and case.backend != BASELINE and has(case):
                columns = found.setdefault(case.model, {})
                columns.setdefault(case.column, []).append((eager[case.model], case))
    return found


def fastest(pairs: Pairs) -> dict[str, str]:
    """The column of each model with the largest speed-up."""

    def ratio(model: str, column: str) -> float:
        return speedup.estimate(pairs[model][column], CONFIDENCE).ratio

    return {
        model: max(columns, key=lambda column: ratio(model, column))
        for model, columns in pairs.items()
    }


def best_column(pairs: Pairs) -> tuple[str, Speedup] | None:
    """The column with the largest mean, of those that all models have; None without any."""
    shared = set.intersection(*(set(columns) for columns in pairs.values())) if pairs else set()
    means = {
        column: geometric_mean.of([columns[column] for columns in pairs.values()], CONFIDENCE)
        for column in shared
    }
    return max(means.items(), key=lambda each: each[1].ratio, default=None)


def line(what: str, mean: Speedup, goal: Goal, mark: str) -> str:
    """A mean beside its goal."""
    bounds = "no interval"
    if mean.low is not None and mean.high is not None:
        bounds = f"{mean.low:.2f} to {mean.high:.2f}"
    reached = "reached" if mean.ratio >= goal.times else "not reached"
    disturbed = ", some disturbed" if mean.disturbed else ""
    return f"  {what}: {mean.ratio:.2f}{mark} ({bounds}); goal {goal.times:g}: {reached}{disturbed}"


def report(runs: Sequence[RunRecord]) -> list[str]:
    """The lines about saved runs."""
    lines = machine(runs)
    for goal in GOALS:
        pairs = pairs_of(runs, goal.has)
        if not pairs:
            lines.append(f"{goal.name}: no column with eager beside it")
            continue
        chosen = fastest(pairs)
        cases = [pairs[model][column] for model, column in chosen.items()]
        mark = labels.mark(case for model in cases for _, case in model)
        lines.append(f"{goal.name}, {len(pairs)} models")
        mean = geometric_mean.of(cases, CONFIDENCE)
        lines.append(line("the fastest column of each model", mean, goal, mark))
        best = best_column(pairs)
        if best is not None:
            column, mean = best
            mark = labels.mark(case for each in pairs.values() for _, case in each[column])
            lines.append(line(f"the best column, {column}", mean, goal, mark))
        counts = {column: list(chosen.values()).count(column) for column in chosen.values()}
        order = sorted(counts.items(), key=lambda each: -each[1])
        lines.append(f"  fastest: {', '.join(f'{column} {count}' for column, count in order)}")
    return lines


def machine(runs: Sequence[RunRecord]) -> list[str]:
    """What the figures were measured on."""
    lines = []
    for condition in dict.fromkeys(run.condition for run in runs):
        alike = [run for run in runs if run.condition == condition]
        known = alike[0].fingerprint or {}
        units = {case.reduced.cpu_units for run in alike for case in run.cases if case.reduced}
        about = {"units for 8 bits": ", ".join(sorted(units)) or "not recorded"}
        about |= {name: known.get(name) for name in ("threads", "batch_size", "weights", "torch")}
        words = ", ".join(f"{name} {value}" for name, value in about.items())
        lines.append(f"{known.get('cpu')}: {words}; {len(alike)} processes")
    return lines


def of_models(runs: Sequence[RunRecord], models: str | None) -> list[RunRecord]:
    """The runs with the cases of some models alone; None for all."""
    if models is None:
        return list(runs)
    names = {model.name for model in references.select(models)}
    return [
        replace(run, cases=tuple(case for case in run.cases if case.model in names)) for run in runs
    ]


def measured(models: str, backends: str, threads: int | None) -> RunRecord:
    """A new run."""
    import deploybench

    def say(model: object, backend: str, size: int, outcome: object) -> None:
        print(f"measured {getattr(model, 'name', model)} {backend}", file=sys.stderr, flush=True)

    chosen = backends.split(",")
    return deploybench.run([models], chosen, on_case=say, threads=threads, device="cpu")


def main() -> None:
    """Read or measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="*", metavar="FILE", help="saved runs, as for `table`")
    parser.add_argument("--models", help="the models that count (default: article, or all saved)")
    parser.add_argument("--backends", default=",".join(BACKENDS), help="of a new run")
    parser.add_argument("--threads", type=int, help="of a new run (default: PyTorch's own)")
    parser.add_argument("--storage", default=".benchmarks", help="default: .benchmarks")
    given = parser.parse_args()
    try:
        if given.run:
            runs = of_models(store.load(given.run, given.storage), given.models)
        else:
            runs = [measured(given.models or "article", given.backends, given.threads)]
    except DeploybenchError as error:
        parser.error(str(error))
    print("\n".join(report(runs)))


if __name__ == "__main__":
    main()
