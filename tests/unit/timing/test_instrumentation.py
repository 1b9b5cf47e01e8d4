"""Coverage, debuggers and profilers are paused while something is timed."""

from __future__ import annotations

import cProfile
import profile
import pstats
import sys
import threading
import tracemalloc
from types import SimpleNamespace

import pytest

from deploybench.timing import instrumentation
from deploybench.timing.instrumentation import undisturbed


def in_force():
    return sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()


@pytest.fixture
def nothing_in_force():
    """What the test is run with, such as coverage, is put back after it."""
    trace, profiler, *of_threads = in_force()
    sys.settrace(None)
    sys.setprofile(None)
    yield
    sys.settrace(trace)
    sys.setprofile(profiler)
    threading.settrace(of_threads[0])
    threading.setprofile(of_threads[1])


@pytest.mark.parametrize("fails", [False, True])
def test_trace_and_profile_functions_are_paused_and_restored(nothing_in_force, fails):
    def function(frame, event, argument):
        return None

    def action():
        seen.append(in_force())
        if fails:
            raise ZeroDivisionError

    seen = []
    sys.settrace(function)
    sys.setprofile(function)
    threading.settrace(function)
    threading.setprofile(function)
    try:
        undisturbed(action)
    except ZeroDivisionError:
        assert fails
    assert in_force() == (function,) * 4
    assert seen == [(None,) * 4]


def timed():
    return sum(range(10))


def after():
    return 1


def both():
    undisturbed(timed)
    return after()


@pytest.mark.parametrize("profiler", [cProfile, profile], ids=["in C", "in Python"])
def test_a_profile_goes_on_behind_what_was_timed_and_lacks_it(nothing_in_force, profiler):
    found = profiler.Profile()
    found.runcall(both)
    names = {name for _, _, name in pstats.Stats(found).stats}
    # From Python 3.12 on, the profiler in C forgets what was under way when it was paused.
    lost = {"both"} if profiler is cProfile and sys.version_info >= (3, 12) else set()
    assert {"both", "after"} - lost <= names
    assert "timed" not in names


class Monitoring:
    """sys.monitoring of Python 3.12 and later, with one tool."""

    events = SimpleNamespace(NO_EVENTS=0, PY_START=1, LINE=32)

    def __init__(self) -> None:
        self.of_all_code = 1
        self.callbacks = {1: "started", 32: "line"}

    def get_tool(self, tool):
        return "coverage" if tool == 1 else None

    def get_events(self, tool):
        return self.of_all_code

    def set_events(self, tool, events):
        self.of_all_code = events

    def register_callback(self, tool, event, callback):
        before = self.callbacks.get(event)
        self.callbacks[event] = callback
        return before


def test_the_tools_of_sys_monitoring_are_paused_and_restored(monkeypatch):
    tools = Monitoring()
    monkeypatch.setattr(sys, "monitoring", tools, raising=False)
    seen = undisturbed(lambda: (tools.of_all_code, dict(tools.callbacks)))
    assert seen == (0, {1: None, 32: None})
    assert (tools.of_all_code, tools.callbacks) == (1, {1: "started", 32: "line"})


def test_what_cannot_be_paused_is_said():
    assert list(instrumentation.not_paused()) == []
    tracemalloc.start()
    try:
        ((seen, effect, remedy),) = instrumentation.not_paused()
    finally:
        tracemalloc.stop()
    assert seen == "tracemalloc traces every allocation"
    assert effect == "backends in Python are timed with it, and those in C++ without"
    assert remedy == "run without PYTHONTRACEMALLOC"
