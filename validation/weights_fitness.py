#!/usr/bin/env python3
"""Checks that random weights make checks meaningful: one row per model, and how many pass.

    .venv/bin/python validation/weights_fitness.py --models article

A model meets all requirements (see `Fitness.misses`), or its row lists those that it misses. The
images are those of every check.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.models import images, torchvision_zoo, weights


@dataclass(frozen=True)
class Fitness:
    """The properties of one model's random weights on 8 images.

    seconds: to set the weights. over_classes: the standard deviation of the logits over the
    classes, minimum and maximum over the images. over_inputs: the same over the images, 5th, 50th
    and 95th percentile over the classes. gap: the median gap between neighbours in the first six
    classes, in units of the largest difference between eager float32 and float64. first_classes:
    the number of distinct best classes.
    """

    seconds: float
    over_classes: tuple[float, float]
    over_inputs: tuple[float, float, float]
    gap: float
    first_classes: int
    images: int
    finite: bool

    def misses(self) -> list[str]:
        """The requirements that are not met."""
        asked = {
            "not finite": self.finite,
            "spread over classes": self.over_classes[0] >= 1 and self.over_classes[1] <= 5,
            "spread over inputs": self.over_inputs[0] >= 1 and self.over_inputs[2] <= 5,
            "gaps": self.gap > 100,
            "first classes alike": self.first_classes == self.images,
        }
        return [what for what, met in asked.items() if not met]


def fitness(name: str, seed: int) -> Fitness:
    """Measure one model."""
    module = torchvision_zoo.build(name)
    start = time.perf_counter()
    weights.apply(module, torchvision_zoo.model(name), weights.parse("random"), seed)
    seconds = time.perf_counter() - start
    batch = images.batch(torchvision_zoo.input_size(name), 8, seed)
    with torch.inference_mode():
        float32 = torch.cat([module(image[None]) for image in batch])
        module.double()
        float64 = torch.cat([module(image[None].double()) for image in batch])
    error = float((float32 - float64).abs().max())
    first_six = float64.topk(6).values
    over_classes = float64.std(1)
    quantiles = torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
    low, middle, high = float64.std(0).quantile(quantiles).tolist()
    return Fitness(
        seconds=seconds,
        over_classes=(float(over_classes.min()), float(over_classes.max())),
        over_inputs=(low, middle, high),
        gap=float((first_six[:, :-1] - first_six[:, 1:]).median()) / error,
        first_classes=len(float64.argmax(1).unique()),
        images=len(batch),
        finite=bool(float32.isfinite().all()),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="article", metavar="NAMES", help="default: article")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    options = parser.parse_args()
    names = torchvision_zoo.select(options.models)
    met, total = 0, 0.0
    for name in names:
        row = fitness(name, options.seed)
        misses = row.misses()
        met += not misses
        total += row.seconds
        low, high = row.over_classes
        over_inputs = "/".join(f"{share:.2f}" for share in row.over_inputs)
        print(
            f"{name:20} {row.seconds:5.2f} s  spread over classes {low:.2f}-{high:.2f}, "
            f"over inputs {over_inputs}  gap {row.gap:6.0f} errors  "
            f"first classes {row.first_classes} of {row.images}  "
            + (f"misses: {', '.join(misses)}" if misses else "meets"),
            flush=True,
        )
    print(f"{met} of {len(names)} models meet all that is asked; {total:.0f} s")


if __name__ == "__main__":
    main()
