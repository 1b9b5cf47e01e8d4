"""The lines of a run under way: one for each model in a pipe, a single live one on a terminal."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from deploybench.plugin.progress import LATENCY_PROPERTY, Progress
from deploybench.runner.progress import EXPORTING, PREPARING, TIMING, Stage

CASES = {
    f"t[{model}-{backend}]": (model, backend, 1)
    for model in ("net", "longer_net")
    for backend in ("eager", "cpp")
}
BOTH = ("eager", "cpp")


class Reporter:
    """Keeps what pytest's own would write."""

    def __init__(self, isatty: bool, width: int = 100) -> None:
        self.isatty, self.verbosity = isatty, 0
        self._tw = SimpleNamespace(fullwidth=width)
        plugins = SimpleNamespace(get_plugin=lambda name: None)
        self.config = SimpleNamespace(pluginmanager=plugins)
        self.written = ""

    def write(self, text: str) -> None:
        self.written += text

    def rewrite(self, line: str, erase: bool) -> None:
        self.written += f"\r{line}"

    def flush(self) -> None:
        pass


def report(node: str, words: str) -> SimpleNamespace:
    return SimpleNamespace(
        nodeid=node,
        when="call",
        passed=True,
        skipped=False,
        outcome="passed",
        user_properties=[(LATENCY_PROPERTY, words)],
    )


@pytest.fixture
def clock():
    """A clock that goes ten seconds whenever it is read."""
    return iter(range(0, 10_000, 10)).__next__


def shown(reporter: Reporter, clock) -> str:
    progress = Progress(reporter, CASES, 0.5, clock)
    for model in ("net", "longer_net"):
        progress.tell(Stage(model, 1, PREPARING, BOTH))
        progress.tell(Stage(model, 1, EXPORTING, ("cpp",)))
        progress.tell(Stage(model, 1, TIMING, BOTH))
        for node, (of, _, _) in CASES.items():
            if of == model:
                progress.pytest_runtest_logreport(report(node, "   1.00 ms   20 rounds, exact"))
    return reporter.written


def test_in_a_pipe_each_model_has_a_line_with_how_far_and_how_long(clock):
    lines = shown(Reporter(isatty=False), clock).splitlines()
    assert lines == [
        "",
        "net: 2 backends begin; 0 of 4 cases done, up to 2 s of timed calls left",
        "[1/4] net         eager     1.00 ms   20 rounds, exact",
        "[2/4] net         cpp       1.00 ms   20 rounds, exact",
        "longer_net: 2 backends begin; 2 of 4 cases done, about 10 s left",
        "[3/4] longer_net  eager     1.00 ms   20 rounds, exact",
        "[4/4] longer_net  cpp       1.00 ms   20 rounds, exact",
    ]


def test_on_a_terminal_one_line_is_written_over_at_each_stage(clock):
    text = shown(Reporter(isatty=True, width=60), clock)
    live = [part for part in text.split("\r") if part.startswith("net: ")]
    assert [part.partition(";")[0] for part in live] == [
        "net: preparing 2 backends",
        "net: exporting cpp",
        "net: timing 2 backends",
    ]
    assert all("\n" not in part and len(part) < 60 for part in live)
    assert "\r\r[1/4] net" in text


def test_a_long_reason_is_folded_behind_the_names(clock):
    reporter = Reporter(isatty=False)
    progress = Progress(reporter, CASES, 0.5, clock)
    progress.pytest_runtest_logreport(report("t[net-eager]", "why " * 50))
    lines = reporter.written.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[2].startswith(" " * len("[1/4] net         eager  "))


def test_a_name_moves_no_cursor(clock):
    cases = {"t": ("net\x1b[2J", "eager", 1)}
    for isatty in (True, False):
        reporter = Reporter(isatty)
        progress = Progress(reporter, cases, 0.5, clock)
        progress.tell(Stage("net\x1b[2J", 1, PREPARING, ("eager",)))
        progress.pytest_runtest_logreport(report("t", "1 ms"))
        assert "\x1b" not in reporter.written
