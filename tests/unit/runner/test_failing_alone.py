"""A backend that fails in any way, at any moment: its own case fails, and no other."""

from __future__ import annotations

import asyncio

import pytest

from deploybench import settings
from deploybench.backends import registry
from deploybench.backends.base import Backend
from deploybench.backends.session import InProcessSession
from deploybench.errors import BackendFailed
from deploybench.machine.interference import Watch
from deploybench.models import weights
from deploybench.runner.options import RunOptions
from deploybench.runner.prepared_model import Plan
from deploybench.runner.run import Run
from deploybench.runner.scheduler import Scheduler
from deploybench.runner.workbench import Workbench
from deploybench.timing.protocol import Protocol

from ..tiny import MODEL

NAMES = ("eager", "faulty", "scripted")


class OwnError(BaseException):
    """An error that no `except Exception` catches."""


class Untold(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Faulty(Backend):
    """It raises `error` at `moment`."""

    name, title, order = "faulty", "Faulty", 95
    moment = ""
    error: BaseException = ZeroDivisionError("division by zero")

    @classmethod
    def reach(cls, moment: str) -> None:
        if moment == cls.moment:
            raise cls.error

    @classmethod
    def packages(cls):
        cls.reach("packages")
        return ()

    def __init__(self, settings):
        self.reach("init")
        super().__init__(settings)

    def require(self):
        self.reach("require")

    def load(self, module, artifact):
        self.reach("load")
        return FaultySession(module, self.settings)

    def forget(self):
        self.reach("forget")

    def close(self):
        self.reach("end")


class FaultySession(InProcessSession):
    calls = 0

    def run(self):
        self.calls += 1
        Faulty.reach(f"call {self.calls}")
        super().run()

    def output(self):
        Faulty.reach("output")
        return super().output()

    def device_timed(self, count):
        Faulty.reach("events")
        return []

    def close(self):
        Faulty.reach("close")


@pytest.fixture
def faulty(monkeypatch):
    """A function that sets when the backend fails, and with what."""
    monkeypatch.setitem(registry(), "faulty", Faulty)

    def fail(moment, error=Faulty.error):
        monkeypatch.setattr(Faulty, "moment", moment)
        monkeypatch.setattr(Faulty, "error", error)

    return fail


def outcomes(order=NAMES):
    plan = Plan(settings.resolve("cpu", threads=1), weights.RANDOM, inputs=2)
    saved = []
    with Workbench(plan) as bench:
        scheduler = Scheduler(
            bench,
            Protocol(max_seconds=0.0),
            {(MODEL.name, 1): order},
            Watch("cpu"),
            saved=lambda model, size, results: saved.append(set(results)),
        )
        found = {name: scheduler.outcome(MODEL, name, 1) for name in order}
    return found, saved


MOMENTS = ["init", "require", "load", "call 1", "call 3", "call 9", "output", "events", "packages"]


@pytest.mark.parametrize("moment", [*MOMENTS, "close"])
def test_the_case_of_the_backend_fails_alone_whenever_it_fails(faulty, moment):
    faulty(moment)
    found, saved = outcomes(("faulty", "eager", "scripted"))
    assert str(found["faulty"].failure).endswith("ZeroDivisionError: division by zero")
    assert isinstance(found["faulty"].failure, BackendFailed)
    assert found["faulty"].result is None
    assert found["eager"].result is not None
    assert found["scripted"].result is not None
    assert saved[-1] == {"eager", "scripted"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (AttributeError(), "AttributeError: no message"),
        (KeyError("x"), "KeyError: 'x'"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (OwnError("own"), "OwnError: own"),
        (asyncio.CancelledError(), "CancelledError: no message"),
        (Untold(), "Untold: no message"),
        (ExceptionGroup("several", [ValueError("a")]), "ExceptionGroup: several (1 sub-exception)"),
        (ValueError("\x1b[1mbold\x1b[0m\ttext\x07"), "ValueError: bold text "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_any_type_is_one_line_that_begins_with_it(faulty, error, words):
    faulty("call 9", error)
    found, _ = outcomes()
    assert str(found["faulty"].failure) == f"tiny through faulty: {words}".strip()
    assert found["eager"].result is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)])
@pytest.mark.parametrize("moment", ["load", "call 9", "close"])
def test_the_wish_to_end_ends_the_run(faulty, moment, error):
    faulty(moment, error)
    with pytest.raises(type(error)):
        outcomes()


@pytest.mark.parametrize("moment", ["forget", "end"])
def test_a_backend_that_cannot_free_what_it_keeps_is_a_notice(faulty, moment):
    faulty(moment)
    options = RunOptions((MODEL,), NAMES, device="cpu", threads=1, max_seconds=0.0, inputs=2)
    with Run(options) as run:
        ends = [run.outcome(*case) for case in options.cases()]
    assert all(end.result for end in ends)
    seen = [notice.seen for notice in run.notices]
    assert "faulty: ZeroDivisionError: division by zero" in seen
