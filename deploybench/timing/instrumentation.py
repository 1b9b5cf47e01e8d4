"""Pauses coverage, debuggers and profilers while something is timed.

They slow down Python's calls in this process, and nothing in a process of C++: one column would be
timed with them and the other without.
"""

from __future__ import annotations

import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")

TOOLS = range(6)
"""The ids that sys.monitoring has, from Python 3.12 on."""


def undisturbed(action: Callable[[], Result]) -> Result:
    """Call `action` without any trace or profile function; they are restored even after an error.

    This is no context manager, because the standard library's `profile` asserts that what pauses it
    and what continues it is the same frame.
    """
    traced, profiled = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    _stop(profiled)
    sys.setprofile(None)
    try:
        with _threads_undisturbed(), _monitoring_undisturbed():
            return action()
    finally:
        # A profiler in C is not callable, and continues by a method of its own.
        if profiled is not None and not callable(profiled):
            _continue(profiled)
        else:
            sys.setprofile(profiled)
        sys.settrace(traced)


def not_paused() -> Iterator[tuple[str, str, str]]:
    """What slows Python down here and cannot be paused: what it is, its effect, what to do."""
    effect = "backends in Python are timed with it, and those in C++ without"
    if tracemalloc.is_tracing():
        yield "tracemalloc traces every allocation", effect, "run without PYTHONTRACEMALLOC"
    if sys.flags.dev_mode:
        yield "Python runs in development mode", effect, "run without -X dev or PYTHONDEVMODE"


def _stop(profiler: Any) -> None:
    if profiler is not None and hasattr(profiler, "disable"):
        profiler.disable()


def _continue(profiler: Any) -> None:
    if hasattr(profiler, "enable"):
        profiler.enable()


@contextmanager
def _threads_undisturbed() -> Iterator[None]:
    """Threads that begin meanwhile are neither traced nor profiled."""
    traced, profiled = threading.gettrace(), threading.getprofile()
    # The stubs do not know that None is what there is without a function.
    settrace: Any = threading.settrace
    setprofile: Any = threading.setprofile
    settrace(None)
    setprofile(None)
    try:
        yield
    finally:
        settrace(traced)
        setprofile(profiled)


@contextmanager
def _monitoring_undisturbed() -> Iterator[None]:
    """The tools of sys.monitoring are not called, neither for all code nor for single functions."""
    monitoring: Any = getattr(sys, "monitoring", None)
    with ExitStack() as stack:
        if monitoring is not None:
            for tool in TOOLS:
                if monitoring.get_tool(tool) is not None:
                    stack.enter_context(_tool_undisturbed(monitoring, tool))
        yield


@contextmanager
def _tool_undisturbed(monitoring: Any, tool: int) -> Iterator[None]:
    of_all_code = monitoring.get_events(tool)
    single = [event for event in vars(monitoring.events).values() if event]
    # Events of single functions cannot be listed; without a callback they cost next to nothing.
    callbacks = {event: monitoring.register_callback(tool, event, None) for event in single}
    monitoring.set_events(tool, 0)
    try:
        yield
    finally:
        for event, callback in callbacks.items():
            monitoring.register_callback(tool, event, callback)
        monitoring.set_events(tool, of_all_code)
