#!/usr/bin/env python3
"""How often "within budget" is wrong, on simulated pairs of models whose agreement is known.

    .venv/bin/python validation/false_verdicts.py --pairs 200 --images 640

Each pair is an eager model and one of reduced precision: logits of images, to which noise is added,
scaled until the two agree on the wanted share of a population. The verdict is that of
tasks/fidelity.py on a sample of images. A pair that is truly below the budget may be called within
it in at most 5% of cases. The hardest pairs lie just below. Accuracy is tested alike: labels are
drawn so that the true loss is known.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.tasks import fidelity
from deploybench.tasks.fidelity import ACCURACY, AGREEMENT, Budget

CLASSES = 10
POPULATION = 40_000
SHARES = (0.9899, 0.985, 0.98, 0.95, 0.9905, 0.993, 0.995, 0.998, 0.9995)
LOSSES = (0.0051, 0.0075, 0.01, 0.02, 0.0045, 0.003, 0.001, 0.0, -0.005)


def pair(agreement: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A population of eager's logits, and of those that agree on that share of it."""
    eager = random.normal(0, 2, (POPULATION, CLASSES)).astype(np.float32)
    noise = random.normal(0, 1, eager.shape).astype(np.float32)
    first = eager.argmax(1)
    low, high = 0.0, 2.0
    for _ in range(25):
        scale = (low + high) / 2
        share = ((eager + scale * noise).argmax(1) == first).mean()
        low, high = (scale, high) if share > agreement else (low, scale)
    return eager, eager + np.float32(low) * noise


def labels_for(
    eager: np.ndarray, other: np.ndarray, loss: float, random: np.random.Generator
) -> np.ndarray:
    """Labels of the population by which the other model is less accurate by `loss`.

    Where the two agree, 80% are right. Where they do not, the label is eager's class or the
    other's, in the proportion that gives the loss.
    """
    first, answered = eager.argmax(1), other.argmax(1)
    labels = np.where(random.random(len(first)) < 0.8, first, (first + 1) % CLASSES)
    apart = np.flatnonzero(first != answered)
    lost = (len(apart) + round(loss * len(first))) // 2
    for place, image in enumerate(random.permutation(apart)):
        labels[image] = first[image] if place < lost else answered[image]
    return labels


def simulate(pairs: int, images: int, seed: int) -> None:
    """Print how often each verdict came, by the measure and by whether the pair is within it."""
    for measure, values in ((AGREEMENT, SHARES), (ACCURACY, LOSSES)):
        budget = Budget(measure, 0.99 if measure == AGREEMENT else -0.005)
        random = np.random.default_rng(seed)
        counts: dict[str, Counter[str]] = {}
        for number in range(pairs):
            value = values[number % len(values)]
            # Without gains, the losses that were seen are all that is known: the hardest case.
            share = value if measure == AGREEMENT else 1 - max(abs(value), number % 2 * 0.02)
            eager, other = pair(share, random)
            labels = labels_for(eager, other, 0 if measure == AGREEMENT else value, random)
            first, answered = eager.argmax(1), other.argmax(1)
            truth = (first == answered).mean()
            if measure == ACCURACY:
                truth = (answered == labels).mean() - (first == labels).mean()
            drawn = random.choice(POPULATION, images, replace=False)
            found = fidelity.judge(other[drawn], eager[drawn], budget, list(labels[drawn]))
            kind = "within" if truth >= budget.least else "below"
            counts.setdefault(f"{measure}, truly {kind}", Counter())[found.status] += 1
            counts.setdefault(f"{measure} {value:g}", Counter())[found.status] += 1
        print(f"{budget}, {images} images, {pairs} pairs")
        for kind, found_of in counts.items():
            shown = ", ".join(f"{count} {status}" for status, count in found_of.most_common())
            print(f"  {kind:24} {sum(found_of.values()):5} pairs: {shown}")
        below = counts.get(f"{measure}, truly below", Counter())
        wrong = below[fidelity.WITHIN] / max(1, below.total())
        print(f"  wrongly within budget: {wrong:.1%} of those below; allowed: 5%\n")


def main() -> None:
    """Simulate both measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    simulate(given.pairs, given.images, given.seed)


if __name__ == "__main__":
    main()
