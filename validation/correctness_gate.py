#!/usr/bin/env python3
"""Counts the faults that the correctness gate catches, and its false alarms.

Planted: every fault of faults.py, one at a time, in real models. Honest: the real backends, over
models, seeds (of weights and images) and numbers of threads, where each alarm is a false one.

    .venv/bin/python validation/correctness_gate.py
    .venv/bin/python validation/correctness_gate.py --honest all --seeds 1 --planted ""
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench import backends, settings
from deploybench.batches import size
from deploybench.models import torchvision_zoo, weights
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench
from deploybench.tasks.agreement import Agreement, judge
from validation.faults import FAULTS

PLANTED = "resnet18,mobilenet_v3_small,densenet121,vit_b_16,inception_v3"


def plan(threads: int | None = None, seed: int = 0) -> Plan:
    """Eight images, random weights, on the CPU."""
    return Plan(settings.resolve("cpu", threads), weights.parse("random"), seed=seed)


def plant(models: list[str]) -> None:
    """Plant every fault in every model; print how many were caught, and those that were not."""
    caught = planted = 0
    least = float("inf")
    with Workbench(plan()) as bench:
        for model in models:
            prepared = bench.prepared(torchvision_zoo.model(model))
            reference = prepared.reference(size(prepared.inputs))
            for fault in FAULTS:
                for name, output in fault(prepared):
                    agreement = judge(output, reference, prepared.task)
                    planted += 1
                    caught += not agreement.agrees
                    least = min(least, agreement.error)
                    if agreement.agrees:
                        print(f"{model}: {name} was not caught: {agreement.error:.3g} units")
            print(f"{model}: {caught} of {planted} caught so far", flush=True)
    print(f"planted faults caught: {caught} of {planted}; the least was off by {least:.3g} units")


def answer(bench: Workbench, model: str, backend: str) -> list[tuple[str, Agreement]]:
    """The verdicts on one case, before and after it was saved."""
    with bench.case(torchvision_zoo.model(model), backend) as case:
        verdicts = [("loaded", case.check(1))]
        if (before := case.check_before_save(1)) is not None:
            verdicts.append(("before the save", before))
        return verdicts


def judge_honest(job: tuple[list[str], list[str], int, int]) -> tuple[str, int, int, float]:
    """Judge models through backends with one seed and number of threads.

    Returns the text to print, the number of verdicts and of alarms, and the largest error.
    """
    models, names, count, seed = job
    alarms, judged, worst = list[str](), 0, 0.0
    with Workbench(plan(count, seed)) as bench:
        for model in models:
            for backend in names:
                for when, agreement in answer(bench, model, backend):
                    judged += 1
                    worst = max(worst, agreement.error)
                    if not agreement.agrees:
                        alarms.append(f"ALARM: {model} {backend} {when}: {agreement.reason}\n")
    words = f"threads {count}, seed {seed}: {len(alarms)} alarms in {judged} verdicts, the largest "
    return f"{''.join(alarms)}{words}error {worst:.2f} units", judged, len(alarms), worst


def sweep(jobs: list[tuple[list[str], list[str], int, int]], processes: int) -> None:
    """Judge all jobs, `processes` at a time, and print the counts."""
    alarms = judged = 0
    worst = 0.0
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for words, verdicts, wrong, error in pool.map(judge_honest, jobs):
            print(words, flush=True)
            judged, alarms, worst = judged + verdicts, alarms + wrong, max(worst, error)
    print(f"alarms of honest runs: {alarms} of {judged}; the largest error {worst:.2f} units")


def main() -> None:
    """Count both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--planted", default=PLANTED, metavar="NAMES", help="models with faults; '' for none"
    )
    parser.add_argument(
        "--honest", default="article", metavar="NAMES", help="models without faults; '' for none"
    )
    parser.add_argument(
        "--backends",
        default=",".join(backends.default_names()),
        metavar="NAMES",
        help="backends of the honest runs",
    )
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="number of seeds")
    parser.add_argument(
        "--threads", default="1,2", metavar="N,...", help="numbers of threads, separated by commas"
    )
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="parallel processes")
    arguments = parser.parse_args()
    if arguments.planted:
        plant(torchvision_zoo.select(arguments.planted))
    if arguments.honest:
        models, names = (
            torchvision_zoo.select(arguments.honest),
            backends.select(arguments.backends),
        )
        counts = [int(count) for count in arguments.threads.split(",")]
        jobs = [(models, names, count, seed) for seed in range(arguments.seeds) for count in counts]
        sweep(jobs, arguments.processes)


if __name__ == "__main__":
    main()
