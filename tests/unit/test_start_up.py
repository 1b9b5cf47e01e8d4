"""What a run of pytest imports before it needs it; each of these takes half a second or more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLOW = ("torch", "pandas", "scipy")


def imported_by(code: str) -> str:
    """Which of SLOW are there once a fresh Python has run `code`."""
    told = f"import sys; print('imported:', *[name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {told}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines()[-1]


def test_timed_tests_are_collected_without_a_slow_import():
    code = "import pytest; pytest.main(['tests/perf', '--models=alexnet', '--collect-only', '-q'])"
    assert imported_by(code) == "imported:"


def test_the_interval_of_the_median_needs_no_scipy():
    code = "from deploybench.timing.protocol import half_width; half_width([1.0, 2.0, 3.0], 0.5)"
    assert "scipy" not in imported_by(code)


def test_importing_the_package_takes_less_than_a_fifth_of_a_second():
    # Of the processor: a busy machine must not fail it.
    code = "import time; began = time.process_time(); import deploybench; "
    code += "assert time.process_time() - began < 0.2"
    assert imported_by(code) == "imported:"
