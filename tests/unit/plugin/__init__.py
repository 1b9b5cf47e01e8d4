"""What a user of the pytest plugin sees, by running pytest in a process of its own, as users do."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MODEL = "shufflenet_v2_x0_5"


def clean_environment() -> dict[str, str]:
    """The environment for a pytest of its own: not that of CI, nor of a worker of pytest-xdist.

    It is wide, so that a reason stays in one line.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith("PYTEST_XDIST_")
    }
    return {**kept, "COLUMNS": "1000"}
