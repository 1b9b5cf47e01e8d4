"""The line protocol of the C++ program: named tensors there and back, and what goes wrong in it."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Optional

import pytest
import torch
import torch._inductor
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor

from deploybench import backends, settings
from deploybench.errors import BackendFailed, BackendUnavailable
from deploybench.native import build as native_build
from deploybench.native.build import SANITIZED_BUILD, ensure_runner, find_compiler
from deploybench.native.process import Runner
from tests.unit.native.scripted import Plain, save

CPU = settings.resolve("cpu")
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool)
DTYPES += (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")


@pytest.fixture
def runner():
    with Runner(ensure_runner(), CPU, deadline=60) as started:
        yield started


def called(runner: Runner, module: torch.nn.Module, folder: Path, inputs: object) -> Runner:
    """The runner, after one call of the module with these inputs."""
    runner.load(save(module, folder / "called.ts"))
    runner.put(inputs)
    runner.run(1)
    return runner


# --- tensors there and back ---------------------------------------------------------------------


class Casts(torch.nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"cast": x.to(self.dtype), "none of it": x[:0].to(self.dtype), "sum": x.sum()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_of_any_dtype_and_shape_come_back_as_they_are(runner, tmp_path, dtype):
    batch = torch.tensor([[0.0, 1.0, 1.5], [2.0, 3.0, 127.0]])
    outputs = called(runner, Casts(dtype), tmp_path, batch).outputs()
    expected = {"cast": batch.to(dtype), "none of it": batch[:0].to(dtype), "sum": batch.sum()}
    assert list(outputs) == list(expected)
    for name, tensor in expected.items():
        assert outputs[name].dtype == tensor.dtype
        assert torch.equal(outputs[name], tensor)


class Adds(torch.nn.Module):
    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        product = x.to(torch.float64) * weight
        return product if bias is None else product + bias


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if not dtype.is_floating_point])
def test_inputs_of_any_other_dtype_than_the_runs_are_whole_numbers(runner, tmp_path, dtype):
    inputs = (torch.tensor([1, 0, 1]).to(dtype), torch.tensor([0.5, 1.0, 2.0]))
    assert called(runner, Adds(), tmp_path, inputs).output().tolist() == [0.5, 0.0, 2.0]


def test_inputs_may_be_named_and_left_out(runner, tmp_path):
    x, weight, bias = torch.ones(2), torch.tensor([2.0, 3.0]), torch.tensor([10.0, 20.0])
    named = {"bias": bias, "weight": weight, "x": x}
    assert called(runner, Adds(), tmp_path, named).output().tolist() == [12.0, 23.0]
    runner.put((x, weight))
    runner.run(1)
    assert runner.output().tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (
            {"x": torch.ones(1), "wait": torch.ones(1)},
            "the model has no input 'wait'; it takes: x,",
        ),
        (torch.ones(1), "input 'weight' is missing; the model takes: x, weight, bias"),
        (tuple(torch.ones(1) for _ in range(4)), r"the model has no input '3'"),
    ],
)
def test_inputs_that_the_model_does_not_take_are_refused(runner, tmp_path, inputs, words):
    with pytest.raises(BackendFailed, match=words) as caught:
        called(runner, Adds(), tmp_path, inputs)
    assert "\n" not in str(caught.value)
    assert runner.alive


# Not as a class: TorchScript cannot read the annotations of one, which are text in this file.
Detections = NamedTuple("Detections", [("boxes", Tensor), ("masks", Optional[Tensor])])  # noqa: UP014, UP045


class Nests(torch.nn.Module):
    def forward(self, x: Tensor) -> tuple[Detections, list[dict[str, Tensor]]]:
        return Detections(x, None), [{"scores": x + 1, "a name": x + 2}, {"scores": x + 3}]


def test_nested_outputs_are_named_by_their_paths(runner, tmp_path):
    outputs = called(runner, Nests(), tmp_path, torch.zeros(1)).outputs()
    values = {name: tensor.item() for name, tensor in outputs.items()}
    assert values == {"0.boxes": 0, "1.0.scores": 1, "1.0.a name": 2, "1.1.scores": 3}
    assert runner.output().item() == 0


def test_a_lone_output_is_named_output(runner, tmp_path):
    batch = torch.randn(2, 12)
    outputs = called(runner, Plain(), tmp_path, batch).outputs()
    assert list(outputs) == [""]
    assert torch.equal(outputs[""], runner.output())


class GivesNumber(torch.nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, float]:
        return x, 1.5


class GivesText(torch.nn.Module):
    def forward(self, x: Tensor) -> dict[str, str]:
        return {"text": "cheese"}


class GivesNothing(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor | None:
        return None


class GivesComplex(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.complex(x, x)


class GivesTab(torch.nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"a\tb": x}


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (GivesNumber(), "output '1' is a float, not a tensor"),
        (GivesText(), "output 'text' is a str, not a tensor"),
        (GivesNothing(), "the model returned no tensor"),
        (GivesComplex(), "the output has dtype ComplexFloat, which cannot be sent"),
        (GivesTab(), "tab"),
    ],
)
def test_outputs_that_are_no_tensors_are_refused_in_one_line(runner, tmp_path, module, words):
    with pytest.raises(BackendFailed, match=words) as caught:
        called(runner, module, tmp_path, torch.zeros(1)).outputs()
    assert "\n" not in str(caught.value)
    assert runner.alive


class KeysClash(torch.nn.Module):
    def forward(self, x: Tensor) -> dict[str, dict[str, Tensor]]:
        return {"a": {"b.c": x}, "a.b": {"c": x}}


def test_two_outputs_of_one_name_are_refused(runner, tmp_path):
    with pytest.raises(BackendFailed, match=r"two outputs have the name 'a\.b\.c'"):
        called(runner, KeysClash(), tmp_path, torch.zeros(1)).outputs()


def test_a_floating_point_input_of_another_dtype_than_the_runs_is_refused(runner, tmp_path):
    with pytest.raises(BackendFailed, match="an input is float64 instead of float32"):
        called(runner, Plain(), tmp_path, torch.zeros(1, 12, dtype=torch.float64))


# --- layout -------------------------------------------------------------------------------------


class CountsInPlace(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.is_contiguous(memory_format=torch.channels_last):
            x.add_(1)
        return x


def test_channels_last_is_laid_out_once_and_not_in_each_call(tmp_path):
    """On a CPU a call with copies takes its input where it lies: a second one sees the first's."""
    with Runner(ensure_runner(), replace(CPU, channels_last=True)) as runner:
        runner.load(save(CountsInPlace(), tmp_path / "counts.ts"))
        runner.put(torch.zeros(2, 3, 4, 4))
        runner.timed(3, "copies")
        assert torch.equal(runner.output(), torch.full((2, 3, 4, 4), 3.0))


# --- ONNX files ---------------------------------------------------------------------------------


@pytest.fixture(params=["openvino", "onnxruntime"])
def runtime(request) -> str:
    """What runs the ONNX file in the C++ process."""
    return request.param


@contextmanager
def onnx_session(
    runtime: str, module: torch.nn.Module, inputs: object, folder: Path, **changes: object
):
    """A C++ process that has loaded the module as ONNX for inputs like these."""
    pytest.importorskip("onnxscript")
    pytest.importorskip(runtime)
    backend = backends.registry()[f"{runtime}-cpp"](CPU)
    path = folder / "model.onnx"
    backend.require()
    batch = (inputs,) if isinstance(inputs, Tensor) else inputs
    backend.export(module.eval(), batch, path)
    with Runner(ensure_runner(), replace(CPU, **changes), deadline=60) as runner:
        runner.load(path, runtime=runtime)
        yield runner


@pytest.mark.parametrize(
    ("changes", "inputs", "words"),
    [
        ({"dtype": "float16"}, torch.zeros(1, 3, 4, 4, dtype=torch.float16), "float16"),
        ({"channels_last": True}, torch.zeros(1, 3, 4, 4), "channels-last"),
        ({}, torch.zeros(2, 3, 4, 4), r"takes float32 \[1,3,4,4\], not float32 \[2,3,4,4\]"),
        ({}, torch.zeros(1, 3, 4, 4, dtype=torch.int32), "int32"),
        ({}, (torch.zeros(1, 3, 4, 4), torch.zeros(1)), "has no input '1'"),
        ({}, {"y": torch.zeros(1, 3, 4, 4)}, "has no input 'y'"),
    ],
)
def test_a_runtime_is_given_no_input_that_it_would_misread(
    runtime, changes, inputs, words, tmp_path
):
    with onnx_session(
        runtime, torch.nn.Conv2d(3, 2, 3), torch.zeros(1, 3, 4, 4), tmp_path, **changes
    ) as runner:
        with pytest.raises(BackendFailed, match=words) as caught:
            runner.put(inputs)
        assert "\n" not in str(caught.value)
        assert runner.alive


class Looks(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(9, 4)

    def forward(self, tokens: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        found = self.table(tokens) + shift
        return found, found.argmax(-1)


def test_an_onnx_file_takes_and_gives_several_tensors(runtime, tmp_path):
    module = Looks()
    inputs = {"tokens": torch.tensor([[1, 2, 8]]), "shift": torch.randn(4)}
    with onnx_session(runtime, module, tuple(inputs.values()), tmp_path) as runner:
        with torch.inference_mode():
            expected = module(**inputs)
        for given_as in (inputs, tuple(inputs.values())):
            runner.put(given_as)
            runner.run(1)
            outputs = list(runner.outputs().values())
            torch.testing.assert_close(outputs, list(expected))


class Converts(torch.nn.Module):
    def forward(self, whole: Tensor, byte: Tensor, flag: Tensor) -> tuple[Tensor, ...]:
        return whole.double(), byte.to(torch.int16), whole.to(torch.int8), flag.half(), ~flag, byte


def test_onnx_runtime_takes_and_gives_every_kind_of_tensor(tmp_path):
    whole, byte = torch.tensor([1, -2], dtype=torch.int32), torch.tensor(7, dtype=torch.uint8)
    inputs = (whole, byte, torch.tensor([[True], [False]]))
    with onnx_session("onnxruntime", Converts(), inputs, tmp_path) as runner:
        for given in (inputs, (whole + 1, byte, inputs[2])):
            runner.put(given)
            runner.run(2)
            expected = list(Converts()(*given))
            torch.testing.assert_close(list(runner.outputs().values()), expected, rtol=0, atol=0)


@pytest.mark.parametrize("asked", ["tensorrt", "../openvino", ""])
def test_a_runtime_that_is_not_there_is_named(runner, tmp_path, asked):
    (tmp_path / "model.onnx").touch()
    with pytest.raises(BackendFailed, match=f"{asked}.*(_program.so|use openvino or)") as caught:
        runner.load(tmp_path / "model.onnx", runtime=asked)
    assert "\n" not in str(caught.value)
    assert runner.alive


# --- AOTInductor --------------------------------------------------------------------------------


class Shifts(torch.nn.Module):
    def forward(self, x: Tensor, shift: Tensor) -> dict[str, object]:
        return {"out": x + shift, "aux": [x * 2, None, shift > 0]}


@pytest.mark.slow
@pytest.mark.parametrize("named", [False, True])
def test_a_package_takes_and_gives_several_tensors(runner, tmp_path, named):
    x, shift = torch.randn(2, 3), torch.randn(3)
    names = {"inputs": "x\nshift", "outputs": "out\naux.0\naux.1\naux.2"} if named else {}
    exported = torch.export.export(Shifts(), (x,), {"shift": shift})
    torch._inductor.aoti_compile_and_package(
        exported,
        package_path=str(tmp_path / "package.pt2"),
        inductor_configs={"aot_inductor.metadata": names},
    )
    runner.load(tmp_path / "package.pt2")
    runner.put({"shift": shift, "x": x} if named else (x, shift))
    runner.run(1)
    outputs = runner.outputs()
    assert list(outputs) == (["out", "aux.0", "aux.2"] if named else ["0", "1", "3"])
    torch.testing.assert_close(list(outputs.values()), [x + shift, x * 2, shift > 0])
    runner.put((x, torch.zeros(4)))
    with pytest.raises(BackendFailed, match="expected: 3, but got: 4"):
        runner.run(1)
    assert runner.alive


# --- what goes wrong ----------------------------------------------------------------------------


class Prints(Plain):
    def forward(self, x: Tensor) -> Tensor:
        print("error\tthis is a model speaking")
        return self.linear(x)


def test_a_model_that_prints_does_not_corrupt_the_replies(runner, tmp_path):
    called(runner, Prints(), tmp_path, torch.zeros(2, 12))
    assert runner.output().shape == (2, 10)
    assert len(runner.timed(3)) == 3
    assert "this is a model speaking" in runner._last_words()


# A program that serves until it is asked to run, where its device is past repair.
BREAKS = r"""#!/bin/sh
while IFS= read -r line; do
  case "$line" in
    hello) printf 'ok\tprotocol=7\tgraphs=1\n' ;;
    configure*) printf 'ok%s\n' "${line#configure}" ;;
    run*) printf 'fatal\tthe model cannot be captured\n' ;;
    *) printf 'ok\n' ;;
  esac
done
"""


@pytest.fixture
def breaking_program(tmp_path):
    program = tmp_path / "breaking"
    program.write_text(BREAKS)
    program.chmod(0o755)
    return program


def test_a_process_past_repair_is_ended_and_its_reason_passed_on(breaking_program):
    with Runner(breaking_program, CPU) as runner:
        with pytest.raises(BackendFailed, match=r"^the model cannot be captured$"):
            runner.run(1)
        assert not runner.alive


def test_a_backend_starts_another_process_after_one_past_repair(breaking_program, monkeypatch):
    monkeypatch.setattr(native_build, "ensure_runner", lambda: breaking_program)
    backend = backends.registry()["cpp"](CPU)
    try:
        session = backend.load(torch.nn.Identity(), Path("a.ts"))
        with pytest.raises(BackendFailed):
            session.run()
        session.close()
        assert backend.load(torch.nn.Identity(), Path("b.ts"))._runner.alive
    finally:
        backend.close()


CAPTURES = r"""
#include <cstdio>
#include <stdexcept>
#include "capture.h"

std::string runner::current_error() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  }
}

struct Graph {
  const char* fails;
  bool capturing = false;
  void step(const char* name) {
    std::printf("%s ", name);
    if (std::string(name) == fails) throw std::runtime_error(std::string("cannot ") + name);
  }
  void capture_begin() { step("begin"); }
  void capture_end() { step("end"); }
};

int main(int, char** arguments) {
  Graph graph{arguments[1]};
  try {
    runner::capture_into(graph, [&] { graph.step("call"); });
    std::printf("done");
  } catch (const runner::Fatal& error) {
    std::printf("%s", error.what());
  }
}
"""


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("", "begin call end done"),
        ("begin", "begin the model cannot be captured in a CUDA graph: cannot begin"),
        ("call", "begin call end the model cannot be captured in a CUDA graph: cannot call"),
        ("end", "begin call end the model cannot be captured in a CUDA graph: cannot end"),
    ],
)
def test_a_capture_that_fails_is_ended_once(tmp_path, fails, said):
    (tmp_path / "main.cpp").write_text(CAPTURES)
    program = tmp_path / "captures"
    command = [find_compiler(), "-std=c++17", f"-I{native_build.SOURCE}", "-o", program]
    subprocess.run([*command, tmp_path / "main.cpp"], check=True)
    told = subprocess.run([program, fails], capture_output=True, text=True, check=True).stdout
    assert told == said


class Server:
    """The program in its serving mode, spoken to in bytes."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [str(program), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: bytes) -> bytes:
        """The line that comes back; empty when the process has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(request + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class Picks(torch.nn.Module):
    """Two inputs, of which one holds whole numbers."""

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        return x.index_select(1, index)


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, str]:
    """Files that a request may name."""
    folder = tmp_path_factory.mktemp("requests")
    whole = save(Plain(), folder / "model.ts")
    save(Picks(), folder / "picks.ts")
    (folder / "short.ts").write_bytes(whole.read_bytes()[:700])
    (folder / "short.pt2").write_bytes(b"PK")
    values = torch.arange(12.0).numpy().tobytes()
    (folder / "input").write_bytes(values)
    (folder / "inputs").write_bytes(values + torch.tensor([11, 0]).numpy().tobytes())
    names = ("model.ts", "picks.ts", "short.ts", "short.pt2", "input", "inputs")
    names += ("written", "none", "none/none")
    return {name: str(folder / name) for name in names} | {"folder": str(folder)}


READY = ("configure\t{settings}", "load\t{model.ts}\tplain", "put\t{input}\tfloat32:1,12:0")
READY_TO_PICK = ("load\t{picks.ts}\tplain", "put\t{inputs}\tfloat32:1,12:0\tint64:2:index")
IN_FORCE = (
    "device=cpu\tthreads=1\tinterop_threads=1\tgrad_mode=inference\tcudnn_tf32=1\t"
    "matmul_precision=highest\tcudnn_benchmark=0\tcudnn_deterministic=0\tdtype=float32\t"
    "channels_last=0\tallocator=default\tcpu_mask="
)


def fill(request: str, places: dict[str, str]) -> bytes:
    """The request, with the placeholders in braces replaced."""
    for name, path in (places | {"settings": IN_FORCE}).items():
        request = request.replace("{" + name + "}", path)
    return request.encode()


def make_ready(server: Server, places: dict[str, str]) -> None:
    """Put the server where a request can be run."""
    for request in READY:
        assert server.ask(fill(request, places)).startswith(b"ok"), request


@pytest.fixture(scope="module")
def started():
    with Server(ensure_runner()) as server:
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
    assert server.ask(b"hello").startswith(b"ok\tprotocol=7\t")


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
            assert server.ask(b"hello").startswith(b"ok\tprotocol=7\t"), series

        drive()
        assert server.process.poll() is None


def test_malformed_requests_are_answered(places):
    answer_malformed_requests(ensure_runner(), places, 50)


@pytest.mark.slow
def test_malformed_requests_break_nothing_that_sanitizers_see(places, tmp_path):
    """Builds the program with the address and undefined-behaviour sanitizers first."""
    answer_malformed_requests(ensure_runner(build=SANITIZED_BUILD, sanitize=True), places, 1000)


# --- on a GPU -----------------------------------------------------------------------------------


class WaitsForTheHost(Plain):
    """Reads a value from the GPU, which no capture allows."""

    def forward(self, x: Tensor) -> Tensor:
        if float(x.sum()) > 1e9:
            x = x + 1
        return self.linear(x)


@needs_gpu
def test_a_capture_that_fails_ends_the_process_and_the_next_one_works(tmp_path):
    backend = backends.registry()["cudagraph-cpp"](settings.resolve("cuda"))
    try:
        try:
            backend.require()
        except BackendUnavailable as error:
            pytest.skip(str(error))
        bad = save(WaitsForTheHost().cuda(), tmp_path / "bad.ts")
        good = save(Plain().cuda(), tmp_path / "good.ts")
        session = backend.load(torch.nn.Identity(), bad)
        with pytest.raises(BackendFailed, match="cannot be captured in a CUDA graph") as caught:
            session.predict((torch.zeros(1, 12),))
        assert "\n" not in str(caught.value)
        assert not session._runner.alive
        session.close()
        assert backend.load(torch.nn.Identity(), good).predict((torch.zeros(1, 12),)).shape == (
            1,
            10,
        )
    finally:
        backend.close()


class Wide(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(12, 2**25)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)[:, :10]


@needs_gpu
def test_memory_of_the_gpu_goes_back_with_the_model(tmp_path):
    def free() -> int:
        return torch.cuda.mem_get_info()[0]

    model = save(Wide().cuda(), tmp_path / "wide.ts")
    small = save(Plain().cuda(), tmp_path / "small.ts")
    with Runner(ensure_runner(), settings.resolve("cuda")) as runner:
        # CUDA's context and the libraries' own workspaces stay for the life of the process.
        runner.load(small)
        runner.put(torch.zeros(1, 12))
        runner.run(1)
        runner.unload()
        before = free()
        runner.load(model)
        runner.put(torch.zeros(1, 12))
        runner.run(1)
        held = before - free()
        assert held > 2**30
        runner.unload()
        assert before - free() < held / 4


@needs_gpu
@pytest.mark.parametrize("channels_last", [False, True])
def test_inputs_and_outputs_cross_to_a_gpu_and_back(tmp_path, channels_last):
    settings_here = replace(settings.resolve("cuda"), channels_last=channels_last)
    x = torch.randn(2, 3, 4, 4)
    with Runner(ensure_runner(), settings_here) as runner:
        runner.load(save(Nests(), tmp_path / "nests.ts"))
        runner.put(x)
        assert len(runner.timed(3, "copies")) == 3
        outputs = runner.outputs()
        assert torch.equal(outputs["0.boxes"], x)
        assert torch.equal(outputs["1.1.scores"], x + 3)
