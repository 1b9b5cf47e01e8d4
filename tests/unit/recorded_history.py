"""Storages with a history, made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from tests.unit.saved_runs import document

MODEL = "squeezenet1_1"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def commit(number: int) -> str:
    return f"{number:040x}"


def save(
    storage: Path,
    number: int,
    milliseconds: dict[str, float],
    commit_info: dict | None = None,
    cases: dict | None = None,
    **fingerprint,
) -> Path:
    """A run of MODEL with a number, whose commit has the same number; three calls a cell."""
    cells = {
        (MODEL, name): [each * factor / 1e3 for factor in (0.9, 1, 1.1)]
        for name, each in milliseconds.items()
    }
    moment = (BEGIN + timedelta(days=number)).isoformat()
    about = {"id": commit(number), "time": moment, "dirty": False, "branch": "main"}
    content = {
        **document(cases or cells, **fingerprint),
        "datetime": moment,
        "commit_info": about if commit_info is None else commit_info,
        "deploybench": {"run": f"{number:032x}"},
    }
    path = storage / "Linux-CPython-3.11-64bit" / f"{number:04}_run.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def noise(count: int, seed: int = 0, share: float = 0.01) -> list[float]:
    """Factors that vary by chance."""
    return np.exp(share * np.random.default_rng(seed).standard_normal(count)).tolist()


def save_all(
    storage: Path, eager: Sequence[float], cpp: Sequence[float], **fingerprint
) -> list[Path]:
    """A run for each pair of figures."""
    return [
        save(storage, number, {"eager": first, "cpp": second}, **fingerprint)
        for number, (first, second) in enumerate(zip(eager, cpp, strict=True), start=1)
    ]
