"""What a run of pytest imports before it needs it; each of these takes half a second or more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLOW = ("torch", "pandas", "scipy", "hypothesis")


def imported_by(code: str) -> str:
    """Which of SLOW are there once a fresh Python has run `code`."""
    told = f"import sys; print(' '.join({SLOW} & sys.modules.keys()))".replace("(", "{", 2)
    told = f"import sys; print('imported:', *[name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {told}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout.splitlines()[-1]


def test_timed_tests_are_collected_and_summed_up_without_a_slow_import():
    code = "import pytest; pytest.main(['tests/perf', '--models=alexnet', '--collect-only', '-q'])"
    assert imported_by(code) == "imported:"


def test_the_timing_needs_no_scipy():
    code = "from deploybench.measure import half_width; half_width([1.0, 2.0, 3.0], 0.5)"
    assert imported_by(code) == "imported:"
