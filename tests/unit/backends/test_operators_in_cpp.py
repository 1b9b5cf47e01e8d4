"""The C++ process with a model that calls an operator of torchvision, and without one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from deploybench import backends, settings
from deploybench.errors import BackendUnavailable
from deploybench.native import build as native_build
from deploybench.native import operators
from tests.unit.native.scripted import Plain


class Suppresses(torch.nn.Module):
    """The boxes [k, 4] that are left of boxes with scores [n, 5]."""

    def forward(self, x: Tensor) -> Tensor:
        return x[torchvision.ops.nms(x[:, :4], x[:, 4], 0.5), :4]


BOXES = torch.tensor([[0.0, 0, 10, 10, 0.5], [0, 0, 10, 9, 0.9], [20, 20, 30, 30, 0.7]])


@pytest.fixture(params=["cpp", "frozen-cpp"])
def backend(request):
    made = backends.registry()[request.param](settings.resolve("cpu"))
    made.require()
    yield made
    made.close()


def loaded(backend, module: torch.nn.Module, example: Tensor, folder: Path):
    backend.export(module.eval(), (example,), folder / "model.ts")
    return backend.load(module, folder / "model.ts")


def opened_torchvision(backend) -> bool:
    maps = Path(f"/proc/{backend._runner.pid}/maps").read_text()
    return "/torchvision/_C" in maps and operators.LIBRARY in maps


def test_boxes_are_suppressed_and_only_that_model_opens_torchvisions_library(backend, tmp_path):
    session = loaded(backend, Plain(), torch.zeros(1, 12), tmp_path)
    assert session.predict((torch.zeros(1, 12),)).shape == (1, 10)
    assert not opened_torchvision(backend)
    session = loaded(backend, Suppresses(), BOXES, tmp_path)
    assert opened_torchvision(backend)
    assert torch.equal(session.predict((BOXES,)), BOXES[[1, 2], :4])
    loaded(backend, Suppresses(), BOXES, tmp_path)  # a second time in the same process


def test_the_program_prints_the_latency_of_such_a_file(tmp_path):
    class OfAnImage(Suppresses):
        def forward(self, x: Tensor) -> Tensor:
            return x[0, 0, torchvision.ops.nms(x[0, 0, :, :4], x[0, 0, :, 4], 0.5)]

    torch.jit.script(OfAnImage()).save(str(tmp_path / "model.ts"))
    operators.ensure_operators()
    command = [native_build.ensure_runner(), "bench", tmp_path / "model.ts", "--size", "8"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.stdout.startswith("#head;TorchScript (C++)"), ran.stderr


@pytest.mark.parametrize("library", ["missing", "needs Python"])
@pytest.mark.parametrize("backend", ["cpp"], indirect=True)
def test_a_library_that_cannot_be_opened_is_a_reason_to_skip(
    backend, library, tmp_path, monkeypatch
):
    program = shutil.copy(native_build.ensure_runner(), tmp_path)
    monkeypatch.setattr(native_build, "ensure_runner", lambda: Path(program))
    monkeypatch.setattr(operators, "ensure_operators", lambda: None)
    if library == "needs Python":
        source = tmp_path / "extension.cpp"
        source.write_text('extern "C" void PyList_New(); void f() { PyList_New(); }')
        link = [native_build.find_compiler(), "-shared", "-fPIC", source]
        subprocess.run([*link, "-o", tmp_path / operators.LIBRARY], check=True)
    why = {"missing": "No such file", "needs Python": "undefined symbol: PyList_New"}[library]
    with pytest.raises(BackendUnavailable, match=f"an operator of torchvision needs .*{why}") as it:
        loaded(backend, Suppresses(), BOXES, tmp_path)
    assert "\n" not in str(it.value)
    session = loaded(backend, Plain(), torch.zeros(1, 12), tmp_path)
    assert session.predict((torch.zeros(1, 12),)).shape == (1, 10)


def test_a_torchvision_without_operators_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(operators, "package_folder", lambda name, extra: tmp_path)
    with pytest.raises(BackendUnavailable, match="has no library of operators"):
        operators.ensure_operators()


def test_the_library_is_linked_once_and_again_for_another_torchvision(monkeypatch, tmp_path):
    linked = []

    def link(target: str, TORCHVISION_LIBRARY: Path) -> None:
        linked.append(TORCHVISION_LIBRARY)
        (tmp_path / operators.LIBRARY).write_bytes(b"ELF" + str(linked[-1]).encode() + b"\0")

    monkeypatch.setattr(native_build, "ensure_runner", lambda: tmp_path / "model_runner")
    monkeypatch.setattr(native_build, "build_target", link)
    for name in ("_C.so", "_C.so", "_C_stable.so"):
        for old in tmp_path.glob("_C*"):
            old.unlink()
        (tmp_path / name).touch()
        monkeypatch.setattr(operators, "package_folder", lambda *_: tmp_path)
        operators.ensure_operators()
    assert [path.name for path in linked] == ["_C.so", "_C_stable.so"]
