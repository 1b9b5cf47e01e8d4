"""Tensors cross to the runtimes that the C++ program opens beside LibTorch, and back."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch._inductor
from torch import Tensor

from deploybench import backends, settings
from deploybench.errors import BackendFailed
from deploybench.native.build import ensure_runner
from deploybench.native.process import Runner

CPU = settings.resolve("cpu")

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


def test_the_threads_of_a_runtime_rest_after_its_calls(runtime, tmp_path):
    module = torch.nn.Sequential(*[torch.nn.Conv2d(16, 16, 3, padding=1) for _ in range(9)])
    image = torch.rand(1, 16, 56, 56)
    with onnx_session(runtime, module, image, tmp_path, threads=2) as runner:
        runner.put(image)
        for _ in range(5):
            runner.timed(5)
            assert runner.rest()
            tasks = Path(f"/proc/{runner.pid}/task")
            others = [each / "stat" for each in tasks.iterdir() if each.name != str(runner.pid)]
            assert len(others) > 1
            assert not [each for each in others if ") R " in each.read_text()]


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
