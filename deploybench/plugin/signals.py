"""Ends a run by SIGTERM and SIGHUP as Ctrl-C does: a cancelled job can be continued too."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Turns the first signal into a KeyboardInterrupt; later ones do not disturb the cleanup."""

    def __init__(self) -> None:
        self.by = ""
        self._before: dict[signal.Signals, Callable[..., Any] | int | None] = {}

    def install(self) -> None:
        """Handle the signals that this process does not ignore, as under nohup."""
        for each in SIGNALS:
            if signal.getsignal(each) is not signal.SIG_IGN:
                self._before[each] = signal.signal(each, self._end)

    def restore(self) -> None:
        """Leave the signals to whom they were left before."""
        for each, handler in self._before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if not self.by:
            self.by = signal.Signals(number).name
            raise KeyboardInterrupt(f"ended by {self.by}")


ENDING = pytest.StashKey[Ending]()


def pytest_configure(config: pytest.Config) -> None:
    """Handle the signals, in the thread that alone may."""
    if threading.current_thread() is threading.main_thread():
        config.stash[ENDING] = Ending()
        config.stash[ENDING].install()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop handling the signals."""
    if ending := config.stash.get(ENDING, None):
        ending.restore()
