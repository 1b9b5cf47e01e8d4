"""A capture in a CUDA graph that fails: the process is past repair, and the next one works."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor

from deploybench import backends, settings
from deploybench.errors import BackendFailed, BackendUnavailable
from deploybench.native import build as native_build
from deploybench.native.build import find_compiler
from deploybench.native.process import Runner
from tests.unit.gpu import needs_gpu
from tests.unit.native.scripted import Plain, save

CPU = settings.resolve("cpu")


# A program that serves until it is asked to run, where its device is past repair.
BREAKS = r"""#!/bin/sh
while IFS= read -r line; do
  case "$line" in
    hello) printf 'ok\tprotocol=8\tgraphs=1\n' ;;
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
