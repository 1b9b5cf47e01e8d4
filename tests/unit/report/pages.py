"""Runs for the tests of the report's page, and the page made of them."""

from __future__ import annotations

import random
from pathlib import Path

from deploybench.analysis import overview
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


def rendered(*runs: RunRecord, baseline: tuple[RunRecord, ...] = ()) -> str:
    """The page of these runs."""
    return page.render(overview.of(runs, baseline))
