"""Requests made at random: the C++ program answers each in one line and serves on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from deploybench.native.build import SANITIZED_BUILD, ensure_runner
from tests.unit.native.serving import (
    DTYPES,
    IN_FORCE,
    READY,
    READY_TO_PICK,
    Server,
    fill,
    make_ready,
)

NUMBERS = ["0", "1", "3", "-1", "", "999999999", str(10**18), str(2**64), "1.5", "0x10", "\0"]
WHATS = ["calls", "copies", "plain", "graph", "sums", ""]
SIDES = ["", "0", "1", "2", "3", "12", "-1", "x", str(2**31), str(10**18), str(2**63 - 1)]


def anything() -> st.SearchStrategy[str]:
    """Any text that a line can hold, tabs included."""
    return st.text(max_size=20).filter(lambda text: "\n" not in text)


def tensors() -> st.SearchStrategy[str]:
    """Descriptions of tensors, many of them impossible."""
    dtypes = st.sampled_from([*(str(dtype).removeprefix("torch.") for dtype in DTYPES), "float3"])
    shapes = st.lists(st.sampled_from(SIDES), max_size=4).map(",".join) | st.just("1,12")
    names = st.sampled_from(["0", "1", "x", "y", "", "a:b", str(10**18)])
    return st.tuples(dtypes, shapes, names).map(":".join)


def pairs() -> st.SearchStrategy[str]:
    """Settings, or nearly."""
    values = st.sampled_from([*NUMBERS, *WHATS, "1024", "float16", "no_grad", "cuda", "highest"])
    names = st.sampled_from([pair.partition("=")[0] for pair in IN_FORCE.split("\t")])
    return st.tuples(names, values).map("=".join)


def requests(places: dict[str, str]) -> st.SearchStrategy[bytes]:
    """Requests that are right, nearly right or nothing of the kind."""
    files = st.sampled_from(list(places.values()))
    # What a model or an input is read from is not to be written to.
    written = st.sampled_from([places[name] for name in ("written", "none/none", "folder")])
    numbers, whats = st.sampled_from(NUMBERS), st.sampled_from(WHATS)
    takes = {
        "hello": [],
        "configure": [st.just(fill("{settings}", places).decode()), pairs()],
        "load": [files, whats],
        "memory": [],
        "put": [files, tensors(), tensors()],
        "run": [numbers],
        "time": [numbers, whats, written],
        "queue": [numbers, whats, written],
        "events": [numbers, written],
        "output": [written],
        "unload": [],
    }
    lines = (*READY, *READY_TO_PICK, "run\t3", "output\t{written}")
    right = [fill(line, places) for line in lines]

    def of(verb: str) -> st.SearchStrategy[list[str]]:
        arguments = st.tuples(*takes[verb]).map(list)
        return arguments.map(lambda given: [verb, *given])

    whole = st.sampled_from(list(takes)).flatmap(of)
    short = whole.flatmap(lambda given: st.integers(0, len(given)).map(lambda end: given[:end]))
    long = st.tuples(whole, anything()).map(lambda both: [*both[0], both[1]])
    texts = (whole | short | long).map("\t".join) | anything()
    made_up = texts.filter(lambda line: line.split("\t")[0] != "quit").map(str.encode)
    return st.sampled_from(right) | made_up


def answer_malformed_requests(program: Path, places: dict[str, str], count: int) -> None:
    """Drive the program with series of requests; each must get one line, and the last its own."""
    with Server(program) as server:
        make_ready(server, places)

        @examples(
            max_examples=count,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(requests(places), min_size=1, max_size=8))
        def drive(series: list[bytes]) -> None:
            for request in series:
                reply = server.ask(request)
                assert reply.startswith((b"ok\t", b"ok\n", b"error\t")), (request, reply)
            assert server.ask(b"hello").startswith(b"ok\tprotocol=8\t"), series

        drive()
        assert server.process.poll() is None


def test_malformed_requests_are_answered(places):
    answer_malformed_requests(ensure_runner(), places, 50)


@pytest.mark.slow
def test_malformed_requests_break_nothing_that_sanitizers_see(places, tmp_path):
    """Builds the program with the address and undefined-behaviour sanitizers first."""
    answer_malformed_requests(ensure_runner(build=SANITIZED_BUILD, sanitize=True), places, 1000)
