"""What a sweep shows: a line for each job that has ended, and on a terminal what runs now."""

from __future__ import annotations

import os
import pty
import sys

import pytest

from deploybench.cli._sweep_progress import SHOWN, Progress
from deploybench.sweep.folder import Folder
from deploybench.sweep.job import Job
from deploybench.sweep.ledger import Entry

END = "the end of what is read"


def job(model: str) -> Job:
    return Job(model, model, (), (), 1)


def entry(model: str, reason: str = "") -> Entry:
    return Entry(job(model).key, model, "run 1", "CPUs 0-1", 20.0, reason)


def _read_until(mark: str, terminal: int) -> str:
    printed = b""
    while mark.encode() not in printed:
        printed += os.read(terminal, 65536)
    return printed.decode().partition(mark)[0]


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(tmp_path, clock):
    def of(*models: str) -> Progress:
        return Progress([job(model) for model in models], Folder(tmp_path), [], 1.0, clock)

    return of


def test_the_view_has_what_runs_where_and_for_how_long(progress, clock, capsys):
    shown = progress("a", "b", "c")
    shown.begun(job("a"), "CPUs 0-1")
    clock.seconds = 12.0
    shown.begun(job("b"), "CPUs 2-3")
    assert shown.view() == [
        "  a run 1  on CPUs 0-1  12 s",
        "  b run 1  on CPUs 2-3  0 s",
        "0 of 3 jobs done",
    ]
    shown.ended(entry("a", "it fails"))
    shown.ended(entry("b"))
    assert shown.view() == ["2 of 3 jobs done, 1 failed; about 20 s left"]
    assert capsys.readouterr().out.splitlines() == [
        "[1/3] a run 1  failed: it fails",
        "[2/3] b run 1  20 s; about 20 s left",
    ]


def test_many_jobs_at_a_time_are_counted(progress):
    models = [f"net{number}" for number in range(SHOWN + 3)]
    shown = progress(*models)
    for model in models:
        shown.begun(job(model), "Slurm")
    assert len(shown.view()) == SHOWN + 2
    assert shown.view()[SHOWN] == "  and 3 more"


def test_a_terminal_shows_what_runs_and_keeps_only_what_has_ended(progress, monkeypatch):
    ours, its = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    shown = progress("net[red]", "b")
    with os.fdopen(its, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        shown.begun(job("net[red]"), "CPUs 0-1")
        with shown.shown():
            shown.ended(entry("net[red]"))
        # A read of a terminal returns what has arrived so far, so it ends at a mark.
        terminal.write(END)
        terminal.flush()
        printed = _read_until(END, ours)
    os.close(ours)
    assert "net[red] run 1  on CPUs 0-1  0 s" in printed
    assert "0 of 2 jobs done" in printed
    *_, last = printed.partition("[1/2] net[red] run 1  20 s; about 20 s left")
    assert last.rstrip().endswith("\x1b[2K")  # the view is erased at the end
