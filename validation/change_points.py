#!/usr/bin/env python3
"""Counts false alarms and found steps of the search for changes, beside Apache Otava's.

False alarms: the share of series without a change in which a change is found. Found: the share of
series with one step in the middle in which a change is found within two processes of it; exact: at
the very process; elsewhere: with a change further away. The noise is white, heavy-tailed (Student's
t with 2 degrees of freedom), bimodal, or each figure resembles the one before it (AR). Steps are in
percent, for noise of the given size between processes. With --runs, the noise is that of real runs
of unchanged code: their ratios to eager, in random order (and once as they are).

    .venv/bin/python validation/change_points.py
    .venv/bin/python validation/change_points.py --runs FOLDER --until 30

Otava pins an old numpy, so it needs an environment of its own:

    python3 -m venv OTAVA && OTAVA/bin/pip install apache-otava
    .venv/bin/python validation/change_points.py --otava OTAVA/bin/python
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.analysis import trends
from deploybench.analysis.change_points import find
from deploybench.records import history

# Otava with its defaults, which reads series and prints the indices of its change points.
OTAVA = """
import json, sys
from otava.analysis import compute_change_points
for line in sys.stdin:
    found, _ = compute_change_points(json.loads(line), window_len=50, max_pvalue=0.001)
    print(json.dumps([int(change.index) for change in found]))
"""
Series = Sequence[float]
Search = Callable[[Sequence[Series]], list[list[int]]]


def ours(false_alarms: float) -> Search:
    """The search of deploybench."""
    return lambda all_series: [
        [change.index for change in find(series, false_alarms)] for series in all_series
    ]


def otava(python: Path) -> Search:
    """The search of Otava, which takes the figures themselves, not their logarithms."""

    def search(all_series: Sequence[Series]) -> list[list[int]]:
        lines = "\n".join(json.dumps(np.exp(series).tolist()) for series in all_series)
        ran = subprocess.run(
            [python, "-c", OTAVA], input=lines, capture_output=True, text=True, check=True
        )
        return [json.loads(line) for line in ran.stdout.splitlines()]

    return search


def alike(random: np.random.Generator, count: int, correlation: float) -> np.ndarray:
    """Figures that each resemble the one before, with deviation 1."""
    figures = random.standard_normal(count + 100)
    for place in range(1, len(figures)):
        figures[place] += correlation * figures[place - 1]
    return figures[100:] * math.sqrt(1 - correlation**2)


Noise = Callable[[np.random.Generator, int], np.ndarray]
NOISES: dict[str, Noise] = {
    "white": lambda random, count: random.standard_normal(count),
    "heavy tails": lambda random, count: random.standard_t(2, count),
    "bimodal": lambda random, count: (
        random.standard_normal(count) + 5 * (random.random(count) < 0.2)
    ),
    "AR 0.2": lambda random, count: alike(random, count, 0.2),
    "AR 0.4": lambda random, count: alike(random, count, 0.4),
    "AR 0.6": lambda random, count: alike(random, count, 0.6),
}


def count_alarms(searches: dict[str, Search], repeats: int, lengths: Sequence[int]) -> None:
    """Print the share of series without a change in which one is found."""
    for length in lengths:
        for name, noise in NOISES.items():
            random = np.random.default_rng(length)
            series = [(0.01 * noise(random, length)).tolist() for _ in range(repeats)]
            shares = [
                f"{label} {np.mean([bool(found) for found in search(series)]):6.1%}"
                for label, search in searches.items()
            ]
            print(f"no change, {length:3} processes, {name:11}: {', '.join(shares)}", flush=True)


def score(found: Sequence[Sequence[int]], place: int) -> str:
    """How often a step at `place` was found, exactly, and something elsewhere."""
    near = [any(abs(index - place) <= 2 for index in each) for each in found]
    exact = [place in each for each in found]
    elsewhere = [any(abs(index - place) > 2 for index in each) for each in found]
    shares = [f"{np.mean(each):4.0%}" for each in (near, exact, elsewhere)]
    return f"found {shares[0]}, exact {shares[1]}, elsewhere {shares[2]}"


def count_steps(
    searches: dict[str, Search], repeats: int, length: int, noise: Noise, deviation: float
) -> None:
    """Print how often steps of 3, 5 and 10 % in the middle are found."""
    for percent in (3, 5, 10):
        random = np.random.default_rng(percent)
        series = []
        for _ in range(repeats):
            figures = deviation * noise(random, length)
            figures[length // 2 :] += math.log1p(percent / 100)
            series.append(figures.tolist())
        for label, search in searches.items():
            print(
                f"step of {percent:2} %, {length:3} processes, deviation {deviation:.1%}: "
                f"{label:12} {score(search(series), length // 2)}",
                flush=True,
            )


def real_noise(storage: Path, until: int | None) -> dict[str, np.ndarray]:
    """The logarithms of the ratios of real runs, by cell, without their mean."""
    found = {}
    for cell in history.load(storage, trends.ratio).cells:
        ratios = [point.ratio for point in cell.points[:until] if point.ratio is not None]
        if len(ratios) >= 10:
            logs = np.log(ratios)
            found[f"{cell.cell.model} {cell.cell.title}"] = logs - logs.mean()
    return found


def count_real(searches: dict[str, Search], repeats: int, noises: dict[str, np.ndarray]) -> None:
    """The same, with the noise of real runs of unchanged code."""
    for name, logs in noises.items():
        random = np.random.default_rng(0)
        deviation = float(logs.std(ddof=1))
        shuffled = [random.permutation(logs).tolist() for _ in range(repeats)]
        for label, search in searches.items():
            (as_is,) = search([logs.tolist()])
            share = np.mean([bool(found) for found in search(shuffled)])
            print(
                f"{name}, {len(logs)} real runs, deviation {deviation:.2%}: {label} finds "
                f"{as_is or 'nothing'}; in random order it finds something in {share:.1%}"
            )

        def drawn(random: np.random.Generator, count: int, logs: np.ndarray = logs) -> np.ndarray:
            return random.choice(logs / logs.std(ddof=1), count)

        count_steps(searches, repeats, 60, drawn, deviation)


def main() -> None:
    """Count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=1000, help="series each (default: 1000)")
    parser.add_argument("--false-alarms", type=float, default=0.05, help="default: 0.05")
    parser.add_argument("--otava", type=Path, metavar="PYTHON", help="of its environment")
    parser.add_argument("--runs", type=Path, metavar="FOLDER", help="a storage of saved runs")
    parser.add_argument("--until", type=int, metavar="N", help="only the first N of them")
    arguments = parser.parse_args()
    searches = {"deploybench": ours(arguments.false_alarms)}
    if arguments.otava:
        searches["otava"] = otava(arguments.otava)
    if arguments.runs:
        count_real(searches, arguments.repeats, real_noise(arguments.runs, arguments.until))
        return
    count_alarms(searches, arguments.repeats, (20, 60, 200))
    for deviation in (0.01, 0.02, 0.04):
        count_steps(searches, arguments.repeats, 60, NOISES["white"], deviation)


if __name__ == "__main__":
    main()
