"""Requests to the C++ program: each malformed one gets one line, which says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.unit.native.serving import READY_TO_PICK, Server, fill, make_ready


@pytest.fixture(scope="module")
def started(program):
    with Server(program) as server:
        yield server


@pytest.fixture
def server(started, places):
    make_ready(started, places)
    return started


REFUSED = [
    ("", "unknown verb ''"),
    ("\t\t", "unknown verb ''"),
    ("dance", "unknown verb 'dance'"),
    ("run", "'run' takes 1 argument, not 0"),
    ("run\t1\t2", "'run' takes 1 argument, not 2"),
    ("run\t-1", "'-1' is not a whole number"),
    ("run\t1e3", "'1e3' is not a whole number"),
    ("run\t+1", "'+1' is not a whole number"),
    ("run\t 1", "' 1' is not a whole number"),
    ("run\t999999999", "at most 1000000 calls"),
    ("run\t99999999999999999999999", "'99999999999999999999999' is not a whole number"),
    ("time\t999999999\tcalls\t{written}", "at most 1000000 calls"),
    ("time\t1\tsums\t{written}", "'sums' is neither calls nor copies"),
    ("time\t1\tcalls\t{none/none}", "cannot be written"),
    ("queue\t999999999\tcalls\t{written}", "at most 1000000 calls"),
    ("events\t1\t{written}", "there are no CUDA events on a CPU"),
    ("load\t{folder}\tplain", "does not exist"),
    ("load\t{short.ts}\tgraph", "a CUDA graph needs a GPU"),
    ("put\t{none}\tfloat32:1:0", "cannot be read"),
    ("put\t{folder}\tfloat32:1:0", "cannot be read"),
    ("put\t/dev/zero\tfloat32:1:0", "cannot be read"),
    ("put\t{input}", "'put' takes at least 2 arguments"),
    ("put\t{input}\tfloat32", "is not DTYPE:SHAPE:NAME"),
    ("put\t{input}\tfloat33:12:0", "unknown dtype 'float33'"),
    ("put\t{input}\tfloat32:1,,12:0", "'' is not a whole number"),
    ("put\t{input}\tfloat32:12,:0", "'' is not a whole number"),
    ("put\t{input}\tfloat32:-12:0", "'-12' is not a whole number"),
    ("put\t{input}\tfloat32:13:0", "has 48 bytes instead of 52"),
    (
        "put\t{input}\tfloat32:1000000000000000000:0",
        "has 48 bytes instead of 4000000000000000000",
    ),
    ("put\t{input}\tfloat32:4294967296,4294967296,4294967296:0", "is too large"),
    ("put\t{input}\tfloat32:0,4294967296,4294967296,4294967296:0", "is too large"),
    ("put\t{input}" + "\tfloat64:1152921504606846975:0" * 3, "is too large"),
    ("put\t{input}\tfloat32:" + "1," * 64 + "12:0", "has more than 64 dimensions"),
    ("put\t{input}\tfloat32:12:", "the model has no input ''"),
    ("put\t{input}\tfloat32:6:0\tfloat32:6:0", "input 'x' is given twice"),
    ("put\t{input}\tfloat32:6:0\tfloat32:6:2", "the model has no input '2'"),
    (
        "put\t{input}\tfloat32:12:99999999999999999999",
        "the model has no input '99999999999999999999'",
    ),
    ("configure", "configure needs device"),
    ("configure\tthreads", "'threads' is not NAME=VALUE"),
    ("configure\t{settings}\tcheese=1", "unknown setting 'cheese'"),
    ("configure\t{settings}\tdtype=float33", "unknown dtype 'float33'"),
    ("configure\t{settings}\tdtype=int64", "unknown dtype 'int64'"),
    ("configure\t{settings}\tthreads=1000000", "at most 1024 threads"),
    ("configure\t{settings}\tinterop_threads=1000000", "at most 1024 threads"),
    ("configure\t{settings}\tcudnn_tf32=yes", "'yes' is neither 0 nor 1"),
    ("configure\t{settings}\tmatmul_precision=low", "unknown matmul precision 'low'"),
    ("configure\t{settings}\tallocator=best", "unknown allocator 'best'"),
    ("configure\t{settings}\tgrad_mode=on", "unknown grad mode 'on'"),
    ("configure\t{settings}\tdevice=cuda:99", "device 'cuda:99' does not exist"),
    ("configure\t{settings}\tdevice=\0", "unknown device"),
]


@pytest.mark.parametrize(("request_line", "words"), REFUSED)
def test_a_malformed_request_gets_one_line(server, places, request_line, words):
    reply = server.ask(fill(request_line, places))
    assert reply.startswith(b"error\t")
    assert words in reply.decode()
    assert server.ask(b"hello").startswith(b"ok\tprotocol=8\t")


def test_values_that_are_no_truth_values_are_not_read_as_such(server, places):
    Path(places["written"]).write_bytes(b"\x00\x01\x02")
    reply = server.ask(f"put\t{places['written']}\tbool:3:0".encode())
    assert b"contains a bool that is neither 0 nor 1" in reply


def test_one_file_holds_the_inputs_of_any_dtypes(server, places):
    for request in READY_TO_PICK:
        assert server.ask(fill(request, places)) == b"ok\n"
    assert server.ask(b"run\t1") == b"ok\n"
    assert server.ask(fill("output\t{written}", places)) == b"ok\tfloat32:1,2:\n"
    assert Path(places["written"]).read_bytes() == torch.tensor([11.0, 0.0]).numpy().tobytes()
    refused = [
        ("put\t{inputs}\tfloat32:1,12:0", "has 64 bytes instead of 48"),
        ("put\t{inputs}\tfloat32:1,12:0\tint64:2:0", "input 'x' is given twice"),
        ("put\t{inputs}\tint64:2:1\tfloat32:1,12:2", "the model has no input '2'"),
        ("put\t{inputs}\tfloat32:1,12:0\tcomplex64:2:1", "unknown dtype 'complex64': allowed: b"),
    ]
    for request, words in refused:
        assert words in server.ask(fill(request, places)).decode()
