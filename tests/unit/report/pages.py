"""Runs for the tests of the report's page, and the page made of them."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

from deploybench.analysis import overview
from deploybench.records.explanation import Explanation, LayerError
from deploybench.records.record import (
    FAILED,
    WRONG,
    CaseRecord,
    Check,
    FailedCase,
    MachineNoise,
    Noise,
    Notice,
    Peak,
    RunRecord,
)
from deploybench.report import page

HOSTILE = "<script>alert(1)</script>\u2028\"'&\u202e\x00\udc80</style>{{ 7 * 7 }}"
BACKENDS = {"eager": ("PyTorch", 1.0), "fast": ("Fast", 0.5), "even": ("Even", 1.0)}


def run(
    name: str,
    models: int = 2,
    samples: int = 100,
    backends: dict[str, tuple[str, float]] = BACKENDS,
    hostile: bool = False,
) -> RunRecord:
    """A run whose fast backend takes half the time of eager."""
    draw = random.Random(name)
    names = [f"net{number:02d}" for number in range(models)]
    names += [HOSTILE] if hostile else []
    cases = [
        _case(model, backend, order, draw, backends[backend], samples, 10.0 * place)
        for place, model in enumerate(names, start=1)
        for order, backend in enumerate(backends)
    ]
    reason = HOSTILE if hostile else "different: class 3 is first"
    failed = (
        FailedCase(names[0], HOSTILE if hostile else "Wrong", reason, WRONG, "wrong"),
        FailedCase(names[0], "Broken", "no such operator", FAILED, "broken"),
    )
    return RunRecord(
        Path(f"{name}.json"),
        {"cpu": HOSTILE if hostile else "some processor", "threads": 2, "tf32": True, "gpu": None},
        tuple(cases),
        identity=name,
        failed=failed,
        peak=Peak(1e11, 1e10),
        notices=(Notice("a load of 3", "calls slow down", "end it"),),
        noise=Noise(MachineNoise(0.005, 0.02), MachineNoise(0.005, 0.03)),
        version="0.3.0",
    )


def _case(
    model: str,
    backend: str,
    order: int,
    draw: random.Random,
    known: tuple[str, float],
    samples: int,
    eager: float,
) -> CaseRecord:
    title, factor = known
    return CaseRecord(
        model,
        backend,
        title,
        order,
        tuple(factor * eager / 1e3 * draw.lognormvariate(0, 0.01) for _ in range(samples)),
        clock="perf_counter",
        check=Check("equal within rounding", draw.uniform(0.5, 4), draw.uniform(20, 900), 2),
        flops=10**8,
        weight_bytes=10**7,
        artifact_sha256="ab" * 32,
        artifact_bytes=10**7,
        export_seconds=None if backend == "eager" else 2.0,
        load_seconds=0.1,
        first_call_ms=40.0,
        second_call_ms=30.0,
        memory_bytes=10**8,
        needs_python=backend != "fast",
        stopped_by="precision",
        turns=(5,) * (samples // 5),
        disturbed=("other processes used 40% of a core",) if backend == "even" else (),
    )


def explained(model: str, layers: int = 40, first: int = 20) -> Explanation:
    """A wrong cell, whose error is too large from one layer on; the second one is fused."""
    errors = [0.9 + 0.1 * (place % 3) for place in range(first)]
    errors += [120.4 + place for place in range(layers - first)]
    found = [
        LayerError(f"features.{place}", "Conv2d", error, 1e-7) for place, error in enumerate(errors)
    ]
    found[1] = LayerError("features.1", "Conv2d", None, None)
    sizes = {"error": 31.0, "observed_error": 31.0, "limit": 8.0}
    return Explanation(
        model, "wrong", False, "different", "class 3 is off", layers=tuple(found), **sizes
    )


def hostile_explanation() -> Explanation:
    """One whose every name is hostile, and whose last layer is NaN."""
    found = explained(HOSTILE)
    layers = [replace(each, name=HOSTILE, kind=HOSTILE) for each in found.layers]
    layers[-1] = replace(layers[-1], error=math.inf, share=math.inf)
    return replace(found, backend=HOSTILE, verdict=HOSTILE, reason=HOSTILE, layers=tuple(layers))


def rendered(
    *runs: RunRecord,
    baseline: tuple[RunRecord, ...] = (),
    explanations: tuple[Explanation, ...] = (),
) -> str:
    """The page of these runs."""
    return page.render(overview.of(runs, baseline), explanations=explanations)
