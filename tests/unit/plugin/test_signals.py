"""SIGTERM and SIGHUP end a run as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from deploybench.plugin.signals import Ending
from deploybench.records import reading
from tests.unit.plugin import ROOT

# The second model is never done, so that the run can be ended within it.
MODELS = """
import time
from dataclasses import replace
from tests.unit.tiny import MODEL, Tiny

class Endless(Tiny):
    def forward(self, x):
        time.sleep(0.05)
        return super().forward(x)

first = replace(MODEL, name="first")
second = replace(MODEL, name="second", build=Endless)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_like_ctrl_c_and_later_ones_do_nothing(number):
    # These tests may run under nohup, too.
    outer = signal.signal(number, signal.SIG_DFL)
    ending = Ending()
    ending.install()
    try:
        with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    finally:
        ending.restore()
        left = signal.signal(number, outer)
    assert left == signal.SIG_DFL


def test_a_signal_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ending = Ending()
    ending.install()
    try:
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        ending.restore()
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_a_terminated_run_can_be_continued_and_leaves_no_folders(tmp_path):
    (tmp_path / "own_two.py").write_text(MODELS)
    temporary, storage = tmp_path / "tmp", tmp_path / "storage"
    temporary.mkdir()
    command = [sys.executable, "-m", "pytest", "tests/perf", "-p", "no:cacheprovider"]
    command += ["--models=own_two:first,own_two:second", "--backends=eager", "--device=cpu"]
    command += ["--benchmark-max-time=0", "--benchmark-min-rounds=200"]
    command += [f"--benchmark-storage={storage}", "--benchmark-save=run1"]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    while not list(storage.rglob("first-*.json")):
        assert process.poll() is None, "the run ended before it was to be ended"
        time.sleep(0.05)
    process.terminate()
    printed, _ = process.communicate(timeout=120)
    (journal,) = (storage / "unfinished").iterdir()
    assert f"continue with --resume {journal.name}" in printed
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert [case.model for case in reading.read(journal).cases] == ["first"]
    assert list(temporary.glob("deploybench-*")) == []
