#!/usr/bin/env python3
"""How much of a trained model several int8 recipes of ONNX Runtime leave, on the same crops.

    .venv/bin/python validation/int8_recipes.py

The model is EfficientNet-Lite0 with its trained weights (examples/efficientnet_lite). The
photographs that calibrate are those of a run with the same seed. The others are divided in two:
crops of one half are to choose a recipe by, and crops of the other half say how good it is, so
that the choice does not flatter it. A recipe is the arguments of `quantize_static`. Latencies are
medians of turns of all recipes one after the other, and need a quiet machine.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deploybench.backends._onnx_runtime import options
from deploybench.backends.onnx_runtime_int8 import OnnxRuntimeInt8
from deploybench.batches import Batch
from deploybench.formats import onnx_int8
from deploybench.formats.base import Calibration
from deploybench.formats.onnx import OnnxFile
from deploybench.machine import identity, processor
from deploybench.models import Model, pictures, references
from deploybench.models.pictures import Picture
from deploybench.settings import resolve
from deploybench.tasks import exact_bounds, fidelity
from deploybench.temporary import TemporaryFolder

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "examples" / "efficientnet_lite" / "models.py"
TURNS, CALLS = 30, 5
AT_ONCE = 16
"""How many images' values a histogram is made of at once; all at once would need gigabytes."""

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """How a file is quantised.

    options: of `quantize_static`, for the graph of the float32 file. prepared: after
    quant_pre_process. images: how many calibrate it.
    """

    name: str
    options: Callable[[Any], Options]
    prepared: bool = True
    images: int = pictures.MOST_TO_CALIBRATE


def shipped(graph: Any = None, **changes: Any) -> Options:
    """The options of the backend, with these changes."""
    return {**onnx_int8.recipe(), **changes}


def histogram(graph: Any, method: str, **more: Any) -> Options:
    """The shipped options, with activations calibrated by histograms."""
    from onnxruntime.quantization import CalibrationMethod

    extra = {"CalibStridedMinMax": AT_ONCE, **more}
    return shipped(calibrate_method=CalibrationMethod[method], extra_options=extra)


def layers(graph: Any) -> list[Any]:
    """The convolutions and matrix products of a graph, in the order in which they run."""
    return [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]


def without(graph: Any, chosen: Callable[[Any], Sequence[Any]]) -> Options:
    """The shipped options, with the nodes that are chosen of the graph left in float32."""
    return shipped(nodes_to_exclude=[node.name for node in chosen(graph)])


def first(graph: Any, count: int) -> Options:
    """The shipped options, with the first layers left in float32."""
    return without(graph, lambda graph: layers(graph)[:count])


def ends(graph: Any) -> list[Any]:
    """The first and the last layer."""
    return [layers(graph)[0], layers(graph)[-1]]


def depthwise(graph: Any) -> list[Any]:
    """The convolutions with a group for each channel."""
    return [
        node
        for node in layers(graph)
        if any(each.name == "group" and each.i > 1 for each in node.attribute)
    ]


def sums(graph: Any) -> list[Any]:
    """The sums of residual blocks."""
    return [node for node in graph.node if node.op_type == "Add"]


def recipes() -> list[Recipe]:
    """All recipes, the naive one first."""
    from onnxruntime.quantization import QuantType

    moving = {"CalibMovingAverage": True}
    return [
        Recipe("naive: its defaults, not prepared", lambda _: {}, prepared=False),
        Recipe("a scale for each tensor", partial(shipped, per_channel=False)),
        Recipe("shipped", shipped),
        Recipe("shipped, not prepared", shipped, prepared=False),
        Recipe("activations signed", partial(shipped, activation_type=QuantType.QInt8)),
        Recipe("weights of 7 bits", partial(shipped, reduce_range=True)),
        Recipe("512 images", shipped, images=512),
        Recipe("moving average", partial(shipped, extra_options=moving)),
        Recipe("percentile 99.99", partial(histogram, method="Percentile", CalibPercentile=99.99)),
        Recipe(
            "percentile 99.999", partial(histogram, method="Percentile", CalibPercentile=99.999)
        ),
        Recipe("entropy", partial(histogram, method="Entropy")),
        Recipe("first layer in float32", partial(first, count=1)),
        Recipe("first 2 layers in float32", partial(first, count=2)),
        Recipe("first 3 layers in float32", partial(first, count=3)),
        Recipe("first and last layer in float32", partial(without, chosen=ends)),
        Recipe("depthwise in float32", partial(without, chosen=depthwise)),
        Recipe("sums in float32", partial(without, chosen=sums)),
    ]


@dataclass(frozen=True)
class Images:
    """Three sets of pictures, of different photographs."""

    calibration: Sequence[Picture]
    choice: Sequence[Picture]
    report: Sequence[Picture]

    @classmethod
    def of(cls, seed: int, most: int, crops: int) -> Images:
        """Those of a seed. most: to calibrate with. crops: in each of the other sets."""
        drawn = pictures.of_packages(seed)
        if drawn is None:
            raise SystemExit("the photographs are not installed: make setup-all")
        random = np.random.default_rng([seed, 2])
        used = {each.path for each in drawn.calibration}
        others = [path for path in pictures.photographs() or [] if path not in used]
        others = [others[place] for place in random.permutation(len(others))]
        half = len(others) // 2
        more = pictures.crops(sorted(used), most - len(drawn.calibration), random)
        sets = (pictures.crops(few, crops, random) for few in (others[:half], others[half:]))
        return cls((*drawn.calibration, *more), *sets)


class Prepared:
    """The model with its float32 files in a folder, and eager's logits of two sets of pictures."""

    def __init__(self, images: Images, folder: Path) -> None:
        (self.model,) = references.select(str(MODEL))
        module = self.model.built().eval()
        self._images, self._folder = images, folder
        self._plain, self._ready = folder / "float.onnx", folder / "prepared.onnx"
        example = next(batches(self.model, images.calibration[:1]))
        OnnxFile().export(module, example, self._plain)
        onnx_int8.prepare(self._plain, self._ready)

        def eager(batch: Batch) -> np.ndarray:
            with torch.inference_mode():
                return module(*batch).numpy()

        self._sets = {
            name: list(batches(self.model, chosen))
            for name, chosen in (("choice", images.choice), ("report", images.report))
        }
        self._eager = {name: answers(eager, of_set) for name, of_set in self._sets.items()}

    def made(self, number: int, recipe: Recipe | None) -> Path:
        """The file of a recipe; the float32 one for None."""
        if recipe is None:
            return self._plain
        import onnx

        source = self._ready if recipe.prepared else self._plain
        chosen = self._images.calibration[: recipe.images]
        given = Calibration(lambda: batches(self.model, chosen), len(chosen), "crops")
        target = self._folder / f"{number}.onnx"
        onnx_int8.quantise(source, target, given, recipe.options(onnx.load(str(source)).graph))
        return target

    def example(self) -> Batch:
        """One input."""
        return self._sets["choice"][0]

    def judged(self, run: Callable[[Batch], np.ndarray], name: str) -> Judged:
        """What a file answers on one of the two sets."""
        return Judged.of(answers(run, self._sets[name]), self._eager[name])


@dataclass(frozen=True)
class Judged:
    """Answers beside eager's. equal: of how many images the first class is the same."""

    images: int
    equal: int
    sqnr_db: float | None

    @classmethod
    def of(cls, found: np.ndarray, eager: np.ndarray) -> Judged:
        """Of logits [images, classes]."""
        equal = int((found.argmax(1) == eager.argmax(1)).sum())
        exact = eager.astype(np.float64)
        return cls(len(eager), equal, fidelity.sqnr_db(found.astype(np.float64), exact))

    def __str__(self) -> str:
        least = exact_bounds.lower(self.equal, self.images)
        share, sqnr = self.equal / self.images, self.sqnr_db
        return f"{share:6.1%} (>= {least:5.1%}) {'equal' if sqnr is None else f'{sqnr:5.1f}'}"


def batches(model: Model, chosen: Sequence[Picture]) -> Iterator[Batch]:
    """The pictures one by one, as the model wants them."""
    steps = model.preprocessing()
    return ((steps(each.image())[None],) for each in chosen)


def answers(run: Callable[[Batch], np.ndarray], of_set: Sequence[Batch]) -> np.ndarray:
    """Logits [images, classes]."""
    return np.concatenate([run(batch) for batch in of_set])


def latencies(runs: Sequence[Callable[[], object]]) -> list[float]:
    """The median time of a call of each in milliseconds, in turns of a few calls."""
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(TURNS):
        for place, run in enumerate(runs):
            run()
            start = time.perf_counter()
            for _ in range(CALLS):
                run()
            found[place].append(1e3 * (time.perf_counter() - start) / CALLS)
    return [median(each) for each in found]


def runner(session: Any) -> Callable[[Batch], np.ndarray]:
    """A function that calls a session of ONNX Runtime."""
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch[0].numpy()})[0]


def compare(chosen: Sequence[Recipe], images: Images, threads: int) -> None:
    """Print the table, and the best recipe by the choice with its report."""
    import onnxruntime

    backend = OnnxRuntimeInt8(resolve("cpu", threads))
    torch.set_num_threads(threads)
    named: list[tuple[str, Recipe | None]] = [("float32", None)]
    named += [(recipe.name, recipe) for recipe in chosen]
    with TemporaryFolder() as folder:
        prepared = Prepared(images, folder)
        runs, found = [], []
        for number, (name, recipe) in enumerate(named):
            path = prepared.made(number, recipe)
            run = runner(onnxruntime.InferenceSession(str(path), options(backend.settings)))
            runs.append(run)
            found.append((prepared.judged(run, "choice"), prepared.judged(run, "report")))
            work = backend.reduced_work(path, prepared.example())
            layers = "" if work is None else f"{work.reduced} of {work.layers} in int8"
            print(f"{name:34} {found[-1][0]}  {found[-1][1]}  {layers}", flush=True)
        times = latencies([partial(run, prepared.example()) for run in runs])
    print(f"\n{'Recipe':34} ms     of float32's time")
    for (name, _), taken in zip(named, times, strict=True):
        print(f"{name:34} {taken:6.2f} {taken / times[0]:.2f}")
    best = max(range(1, len(named)), key=lambda place: found[place][0].equal)
    print(f"\nbest by the choice: {named[best][0]}; on the held-back crops: {found[best][1]} dB")


def main() -> None:
    """Compare the recipes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="of the photographs' division")
    parser.add_argument("--crops", type=int, default=640, help="in each set (default: 640)")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--only", default="", metavar="TEXT,...", help="recipes with such a name")
    given = parser.parse_args()
    wanted = given.only.split(",")
    chosen = [each for each in recipes() if any(text in each.name for text in wanted)]
    most = max(each.images for each in recipes())  # of all, so that the crops are the same
    images = Images.of(given.seed, most, given.crops)
    print(f"{identity.cpu_name()}, {processor.reduced_precision_units()}, {given.threads} threads")
    print(f"crops of different photographs: {most} calibrate, {given.crops} choose and report\n")
    print(f"{'Recipe':34} choice: agreement, dB   report: agreement, dB")
    compare(chosen, images, given.threads)


if __name__ == "__main__":
    main()
