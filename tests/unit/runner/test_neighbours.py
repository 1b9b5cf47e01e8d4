"""Copies of a model call it beside the timed session, and report their own latency."""

from __future__ import annotations

import sys

import pytest

from deploybench import settings
from deploybench.errors import BackendFailed
from deploybench.machine.interference import Watch
from deploybench.models import weights
from deploybench.runner import neighbours
from deploybench.runner.neighbours import Neighbour, Neighbours
from deploybench.runner.options import RunOptions
from deploybench.runner.prepared_model import Plan
from deploybench.runner.scheduler import Scheduler
from deploybench.runner.workbench import Workbench
from deploybench.timing.protocol import Protocol

from ..tiny import MODEL, WITH_DICT

# Answers as a neighbour does, with calls that are counted instead of made.
PROGRAM = """
import json, sys
for line in sys.stdin:
    word = line.strip()
    if word == "die":
        sys.exit("there is no more memory")
    print({"begin": "begun", "end": "ended"}.get(word, "0.5"), flush=True)
"""


def neighbour(tmp_path, program: str = PROGRAM) -> Neighbour:
    return Neighbour([sys.executable, "-c", program], tmp_path)


def test_a_neighbour_that_ends_says_why_in_its_last_words(tmp_path):
    one = neighbour(tmp_path)
    one.say("begin")
    assert one.reply() == "begun"
    one.say("die")
    with pytest.raises(BackendFailed, match="ended; its last words: there is no more memory"):
        one.reply()
    one.say("begin")
    one.close()


def test_a_neighbour_that_hangs_is_ended_with_all_it_started(tmp_path):
    one = neighbour(tmp_path, "import time; time.sleep(600)")
    with pytest.raises(BackendFailed, match=r"gave no reply within 0\.1 s"):
        one.reply(0.1)
    one.close()
    assert one._process.returncode is not None


def scheduler(bench: Workbench, backends: list[str], model, neighbours: int) -> Scheduler:
    protocol = Protocol(max_seconds=0.05, neighbours=neighbours)
    return Scheduler(bench, protocol, {(model.name, 1): backends}, Watch("cpu"))


@pytest.fixture
def bench():
    plan = Plan(settings.resolve("cpu", threads=1), weights.parse("random"), inputs=2)
    with Workbench(plan) as made:
        yield made


def test_each_neighbour_has_a_latency_and_ends_with_the_case(bench, monkeypatch):
    started = []

    def start(*given) -> Neighbour:
        started.append(Neighbour(*given))
        return started[-1]

    monkeypatch.setattr(neighbours, "Neighbour", start)
    compared = scheduler(bench, ["eager", "cpp"], MODEL, neighbours=3)
    for backend in ("eager", "cpp"):
        outcome = compared.outcome(MODEL, backend, 1)
        assert outcome.failure is None
        assert len(outcome.result.neighbours_ms) == 2
        assert min(outcome.result.neighbours_ms) > 0
    assert len(started) == 4
    # By themselves, so that they have removed their files.
    assert [each._process.returncode for each in started] == [0] * 4


def test_an_error_beside_neighbours_ends_them(bench, monkeypatch):
    started = []

    def start(*given) -> Neighbour:
        started.append(Neighbour([sys.executable, "-c", PROGRAM], given[1]))
        return started[-1]

    monkeypatch.setattr(neighbours, "Neighbour", start)
    monkeypatch.setattr(neighbours.cold_start, "handed_over", lambda *_: [])
    monkeypatch.setattr(Neighbours, "_await", lambda *_: None)
    several = Neighbours(2, None, MODEL, None, None, None)
    with pytest.raises(ZeroDivisionError), several.calling():
        raise ZeroDivisionError
    assert len(started) == 2
    assert all(each._process.returncode is not None for each in started)
    assert several.medians() == []


def test_a_model_that_no_process_can_find_fails_alone(bench):
    compared = scheduler(bench, ["eager", "scripted"], WITH_DICT, neighbours=2)
    assert "has no reference" in str(compared.outcome(WITH_DICT, "eager", 1).failure)
    assert compared.outcome(WITH_DICT, "scripted", 1).failure is None


def test_neighbours_are_a_condition_only_if_there_are_any():
    from deploybench.runner.fingerprint import fingerprint

    def conditions(count: int) -> dict:
        options = RunOptions([], [], device="cpu", neighbours=count)
        return fingerprint(options.plan(), options.protocol())

    assert "neighbours" not in conditions(1)
    assert conditions(2)["neighbours"] == 2
