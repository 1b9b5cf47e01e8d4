"""Saved runs made by hand, for the tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path

COLUMNS = {
    "eager": ("PyTorch", 0),
    "scripted": ("TorchScript (Python)", 10),
    "cpp": ("TorchScript (C++)", 20),
}
FINGERPRINT = {"cpu": "some processor", "gpu": None, "torch": "2.14.1", "threads": 2}


def benchmark(model: str, backend: str, seconds: list[float]) -> dict:
    title, order = COLUMNS[backend]
    return {
        "name": f"test_latency[{model}-{backend}]",
        "params": {"model": model, "backend": backend},
        "group": model,
        "extra_info": {"column": title, "column_order": order},
        "stats": {"data": seconds},
    }


def document(cases: dict[tuple[str, str], list[float]], **fingerprint) -> dict:
    """A run that holds `cases`, each with its seconds, made under `fingerprint`."""
    return {
        "machine_info": {
            "deploybench": {
                "format": 1,
                "version": "0.1.0",
                "fingerprint": {**FINGERPRINT, **fingerprint},
            }
        },
        "benchmarks": [benchmark(*case, seconds) for case, seconds in cases.items()],
    }


def save(path: Path, cases: dict[tuple[str, str], list[float]], **fingerprint) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(cases, **fingerprint)))
    return path
