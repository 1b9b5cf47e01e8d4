"""What is timed next waits until no thread of the process runs."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from deploybench.machine.idle import wait_until_idle

ROUNDS = 700_000  # about 0.2 s


def busy() -> threading.Thread:
    """A thread that computes for a while, without Python's lock."""
    thread = threading.Thread(target=hashlib.pbkdf2_hmac, args=("sha256", b"", b"", ROUNDS))
    thread.start()
    return thread


def test_it_waits_for_a_thread_that_computes():
    thread = busy()
    assert wait_until_idle(60)
    assert not thread.is_alive()


def test_its_patience_is_limited():
    thread = busy()
    assert not wait_until_idle(0.01)
    thread.join()


@pytest.mark.parametrize(
    ("stat", "runs"),
    [
        ("7 (worker) S 1 7", False),
        ("7 (worker) R 1 7", True),
        ("7 (R) R (a) S 1 7", False),
        ("7 (a) S) R 1 7", True),
        ("7 (worker) D 1 7", False),
        ("", False),
    ],
)
def test_a_thread_runs_if_the_kernel_says_so(stat, runs, tmp_path):
    (tmp_path / "0").mkdir()  # no thread has this number
    (tmp_path / "0" / "stat").write_text(stat)
    (tmp_path / "00").mkdir()  # one that has just ended
    assert wait_until_idle(0.01, tmp_path) == (not runs)


def test_the_thread_that_waits_does_not_wait_for_itself(tmp_path):
    own = tmp_path / str(threading.get_native_id())
    own.mkdir()
    (own / "stat").write_text(f"{os.getpid()} (python) R 1")
    assert wait_until_idle(0.01, tmp_path)


def test_where_the_kernel_tells_nothing_there_is_nothing_to_wait_for():
    assert wait_until_idle(0.01, Path("/nonexistent"))
