"""A process run to its end: what it says, and that nothing of it outlives its deadline."""

from __future__ import annotations

import sys
import time

import psutil
import pytest

from deploybench import processes
from deploybench.errors import BackendFailed


def python(code):
    return [sys.executable, "-c", code]


def test_what_it_says_and_how_it_ended():
    ended = processes.run(python("import os; print('yes', flush=True); os.abort()"), 30)
    assert (ended.stdout, ended.returncode) == ("yes\n", -6)


def test_it_can_import_the_package_and_sees_no_more_than_it_was_given():
    code = "import deploybench, os; print(os.environ.get('HOME'), os.environ['GIVEN'])"
    assert processes.run(python(code), 30, {"GIVEN": "this"}).stdout == "None this\n"


def test_it_starts_where_its_parent_is_and_nothing_there_hides_a_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise RuntimeError('of the folder')")
    (tmp_path / "numbers.txt").write_text("1 2")
    code = "import deploybench, json; print(open('numbers.txt').read())"
    for environment in (None, {}):
        assert processes.run(python(code), 30, environment).stdout == "1 2\n"


STARTS_ANOTHER = """
import subprocess, sys, time
slept = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(sys.argv[1], "w").write(str(slept.pid))
time.sleep({})
"""


@pytest.mark.parametrize("seconds", [0, 60], ids=["ends first", "misses the deadline"])
def test_what_it_has_started_is_ended_with_it(tmp_path, seconds):
    # What it started holds its output open, so the wait ends with the deadline either way.
    note = tmp_path / "pid"
    with pytest.raises(BackendFailed, match="no answer within 2 s"):
        processes.run([*python(STARTS_ANOTHER.format(seconds)), str(note)], 2)
    pid = int(note.read_text())
    end = time.monotonic() + 5
    while time.monotonic() < end and runs(pid):
        time.sleep(0.05)
    assert not runs(pid)


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
