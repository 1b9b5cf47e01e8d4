"""Runs eager and a deployed form side by side, layer by layer, and measures each layer's error.

The error of a layer is measured as that of an output (tasks/agreement.py): its distance from the
same layer in float64, in units of eager's own distance at that layer, over all inputs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from .. import batches
from ..backends.base import Observed
from ..backends.session import InProcessSession
from ..batches import Batch
from ..formats.base import Origin
from ..formats.layers import numbered
from ..models import Model
from ..nested import flatten
from ..records.explanation import Explanation, LayerError
from ..tasks.reference import ERROR_LIMIT, TensorReference
from .expected_output import in_float64
from .prepared_model import PreparedModel
from .workbench import Workbench, one_line


def explain(bench: Workbench, model: Model, name: str) -> Explanation:
    """Measure every layer of `model` through the backend `name`.

    The backend must show its layers. Raises what a Workbench raises.
    """
    size = bench.plan.batch_size
    with bench.case(model, name) as case:
        agreement = case.check(size)
        prepared, artifact = case.prepared, case.artifact
    with TemporaryDirectory() as folder, one_line(model.name, name), prepared.lent_to(name):
        path = artifact.path if artifact else None
        example = batches.to_device(prepared.example(), bench.plan.settings.device)
        backend = bench.backend(name)
        calibration = prepared.reduced_precision.calibration if backend.precision else None
        origin = Origin(prepared.module, example, calibration)
        observed = backend.observed(origin, path, Path(folder))
        try:
            output, layers = _measured(prepared, observed)
        finally:
            observed.session.close()
    return Explanation(
        model.name,
        name,
        agreement.agrees,
        agreement.verdict,
        agreement.reason,
        agreement.error,
        output,
        ERROR_LIMIT,
        layers,
        backend.precision,
    )


@dataclass
class _Distances:
    """What is known of one layer, or of the output, after some of the inputs."""

    kind: str
    unit: float = 0.0
    largest: float = 0.0
    deployed: float | None = None
    signal: float = 0.0
    noise: float = 0.0

    def add(self, exact: Tensor, eager: Tensor, deployed: Tensor | None) -> None:
        """Take one more input: the values in float64, of eager and of the deployed form."""
        self.unit = max(self.unit, TensorReference.of(exact, eager).unit)
        self.largest = max(self.largest, _largest(exact))
        if deployed is not None and deployed.shape == exact.shape:
            distance = deployed.double() - exact
            self.deployed = max(self.deployed or 0.0, _largest(distance))
            self.signal += exact.square().sum().item()
            self.noise += distance.square().sum().item()

    def error(self, name: str) -> LayerError:
        """The error over all inputs so far."""
        exact = self.unit, self.largest
        if self.deployed is None or not all(map(math.isfinite, exact)):
            return LayerError(name, self.kind, None, None)
        share = self.deployed / self.largest if self.largest else 0.0
        return LayerError(name, self.kind, self.deployed / self.unit, share, self._sqnr_db())

    def _sqnr_db(self) -> float | None:
        if not math.isfinite(self.noise):
            return -math.inf
        if not self.signal:
            return None
        return 10 * math.log10(self.signal / self.noise) if self.noise else math.inf


def _largest(values: Tensor) -> float:
    """The largest absolute value; infinity if there is a NaN."""
    if not values.numel():
        return 0.0
    return float(values.abs().nan_to_num(math.inf, posinf=math.inf).max().item())


def _measured(prepared: PreparedModel, observed: Observed) -> tuple[float, tuple[LayerError, ...]]:
    """The error of the output, and those of the layers, over all inputs."""
    layers: dict[str, _Distances] = {}
    outputs: dict[str, _Distances] = {}
    for batch in prepared.batches(prepared.plan.batch_size):
        values = list(flatten(observed.session.predict(batch)).values())
        deployed = {layer: values[place] for layer, place in observed.places.items()}
        eager, output = _eager(prepared, batch)

        def take(
            name: str,
            kind: str,
            exact: Tensor,
            was: Mapping[str, Tensor] = eager,
            found: Mapping[str, Tensor] = deployed,
        ) -> None:
            layers.setdefault(name, _Distances(kind)).add(exact, was[name], found.get(name))

        with in_float64(prepared.module, prepared.plan.settings), watching(prepared.module, take):
            exact = batches.convert(batch, torch.float64)
            expected = prepared.module(*batches.to_device(exact, prepared.plan.settings.device))
        for (path, right), value in zip(flatten(expected).items(), values, strict=False):
            of_path = outputs.setdefault(path, _Distances("output"))
            of_path.add(right.cpu(), output[path], value)
    errors = [each.error(path).error for path, each in outputs.items()]
    largest = max((math.inf if each is None else each for each in errors), default=math.inf)
    return largest, tuple(each.error(name) for name, each in layers.items())


def _eager(prepared: PreparedModel, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What each layer of eager gives in the run's dtype, by name, and the outputs, by path."""
    found: dict[str, Tensor] = {}

    def take(name: str, kind: str, value: Tensor) -> None:
        found[name] = value

    with watching(prepared.module, take):
        output = InProcessSession(prepared.module, prepared.plan.settings).predict(batch)
    return found, flatten(output)


@contextmanager
def watching(module: nn.Module, take: Callable[[str, str, Tensor], None]) -> Iterator[None]:
    """A context in which `take` gets what each call of a submodule returns, if it is one tensor.

    Its arguments are the name of the call (formats/layers.py), the class of the submodule, and a
    copy of the tensor on the CPU. Integers and booleans, which are not rounded, are left out.
    """
    calls: Counter[str] = Counter()

    def hook(path: str, submodule: nn.Module, output: Any) -> None:
        name = numbered(path, calls[path])
        calls[path] += 1
        if isinstance(output, Tensor) and output.is_floating_point():
            # A copy, because the next operation may be in place.
            take(name, type(submodule).__name__, output.detach().to("cpu", copy=True))

    handles = [
        submodule.register_forward_hook(
            lambda each, given, output, path=path: hook(path, each, output)
        )
        for path, submodule in module.named_modules()
        if path
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
