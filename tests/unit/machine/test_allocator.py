"""Memory that a call frees is kept for the next one, in Python and in the C++ process alike."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
import torch

from deploybench import settings
from deploybench.errors import BackendFailed, UsageError
from deploybench.formats.torchscript import ScriptedFile
from deploybench.machine import allocator
from deploybench.native.build import ensure_runner
from deploybench.native.process import Runner

CALLS = 50
CPU = settings.resolve("cpu")

pytestmark = pytest.mark.skipif(not allocator.tunable(), reason="needs glibc, to be tuned")


class Widening(torch.nn.Module):
    """Calls that take and free blocks of all sizes, from 0.6 to 38 MB."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = x.mean(dim=(2, 3))
        for times in range(1, 65, 7):
            wide = x.repeat(1, times, 1, 1) + 1
            total = total + wide.mean(dim=(2, 3))[:, :3]
        return total


def minor_faults(process: str) -> int:
    """Pages that the kernel has had to give to a process so far."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[7])


def faults_of_a_call(call: Callable[[], object], process: str) -> float:
    """New pages of one call, as the middle one of many has it."""
    faults = [minor_faults(process)]
    for _ in range(CALLS):
        call()
        faults.append(minor_faults(process))
    return median(later - earlier for earlier, later in pairwise(faults))


def faults_of_a_call_in_cpp(allocator_setting: str, folder: Path) -> float:
    file = folder / "widening.ts"
    ScriptedFile().export(Widening().eval(), (torch.empty(0),), file)
    with Runner(ensure_runner(), replace(CPU, allocator=allocator_setting)) as runner:
        runner.load(file)
        runner.put(torch.rand(1, 3, 224, 224))
        return faults_of_a_call(lambda: runner.run(1), str(runner.pid))


FAULTS_OF_A_CALL_IN_PYTHON = """
import sys, torch
from dataclasses import replace
from deploybench import settings
from tests.unit.machine.test_allocator import Widening, faults_of_a_call
settings.apply(replace(settings.resolve("cpu"), allocator=sys.argv[1]))
module, image = Widening().eval(), torch.rand(1, 3, 224, 224)
with torch.inference_mode():
    print(faults_of_a_call(lambda: module(image), "self"))
"""


def faults_of_a_call_in_python(allocator_setting: str, folder: Path) -> float:
    command = [sys.executable, "-c", FAULTS_OF_A_CALL_IN_PYTHON, allocator_setting]
    root = Path(__file__).parents[3]
    said = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return float(said)


@pytest.mark.slow
@pytest.mark.parametrize("faults", [faults_of_a_call_in_cpp, faults_of_a_call_in_python])
def test_a_call_takes_no_new_pages_from_the_kernel(faults, tmp_path):
    assert faults("tuned", tmp_path) < 10
    # By default, glibc allocates at least the largest blocks again, which this test can see.
    assert faults("default", tmp_path) > 1000


def test_memory_goes_back_to_the_kernel_with_the_model(tmp_path):
    """Kept memory is a model's own: those after it do not have it too."""
    file = tmp_path / "widening.ts"
    ScriptedFile().export(Widening().eval(), (torch.empty(0),), file)
    with Runner(ensure_runner(), CPU) as runner:
        resident = Path(f"/proc/{runner.pid}/statm")
        before = int(resident.read_text().split()[1])
        runner.load(file)
        runner.put(torch.rand(8, 3, 224, 224))
        runner.run(2)
        held = int(resident.read_text().split()[1]) - before
        runner.unload()
        left = int(resident.read_text().split()[1]) - before
    assert left < held / 4


def test_what_was_tuned_cannot_be_undone():
    settings.apply(CPU)
    with pytest.raises(BackendFailed, match="allocator=tuned although default was requested"):
        settings.apply(replace(CPU, allocator="default"))


def test_a_c_library_without_it_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(allocator, "tunable", lambda: False)
    assert settings.resolve("cpu").allocator == "default"
    with pytest.raises(UsageError, match="--allocator tuned needs glibc"):
        settings.resolve("cpu", allocator="tuned")
