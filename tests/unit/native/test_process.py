"""The C++ program: what it answers, how it fails, and how it is driven."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from deploybench import settings
from deploybench.errors import BackendFailed
from deploybench.machine import cpus
from deploybench.native.process import Runner, scrubbed_environment
from tests.unit.native.scripted import Plain, called, save

CPU = settings.resolve("cpu")


class GivesTuple(Plain):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.linear(x.flatten(1)), x


def test_logits_are_pythons_to_the_bit(runner, tmp_path):
    module, batch = Plain(), torch.randn(4, 3, 2, 2)
    runner.load(save(module, tmp_path / "a model.ts"))
    runner.put(batch)
    runner.run(3)
    with torch.inference_mode():
        assert torch.equal(runner.output(), module(batch))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_half_precision_tensor_crosses_unchanged(program, tmp_path, dtype):
    class Same(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    name = str(dtype).removeprefix("torch.")
    with Runner(program, replace(CPU, dtype=name)) as runner:
        runner.load(save(Same(), tmp_path / "same.ts"))
        batch = torch.randn(3, 5).to(dtype)
        runner.put(batch)
        runner.run(1)
        assert runner.output().dtype == dtype
        assert torch.equal(runner.output(), batch)


def test_of_a_tuple_the_first_is_the_logits(runner, tmp_path):
    module, batch = GivesTuple(), torch.randn(2, 3, 2, 2)
    runner.load(save(module, tmp_path / "tuple.ts"))
    runner.put(batch)
    runner.run(1)
    with torch.inference_mode():
        assert torch.equal(runner.output(), module(batch)[0])


def test_each_call_is_timed(runner, tmp_path):
    runner.load(save(Plain(), tmp_path / "plain.ts"))
    runner.put(torch.randn(1, 3, 2, 2))
    samples = runner.timed(25)
    assert len(samples) == 25
    assert all(0 < sample < 10 for sample in samples)


def test_calls_with_copies_and_queued_ones_are_timed(runner, tmp_path):
    runner.load(save(Plain(), tmp_path / "plain.ts"))
    runner.put(torch.randn(1, 3, 2, 2))
    assert len(runner.timed(7, "copies")) == 7
    assert 0 < runner.queued(7) < 10
    assert 0 < runner.queued(7, "copies") < 10
    with pytest.raises(BackendFailed, match="'sums' is neither calls nor copies"):
        runner.timed(7, "sums")


def test_without_cuda_there_are_no_events(runner, tmp_path):
    runner.load(save(Plain(), tmp_path / "plain.ts"))
    runner.put(torch.randn(1, 3, 2, 2))
    assert runner.device_timed(3) == []
    with pytest.raises(BackendFailed, match="there are no CUDA events on a CPU"):
        runner._samples(3, "events", "3")


def test_the_settings_that_were_asked_for_are_in_force(program):
    with Runner(program, replace(CPU, threads=1, matmul_precision="high", cudnn_tf32=False)):
        pass


def test_a_setting_that_did_not_take_is_an_error(program, tmp_path):
    """A program that reports 7 threads whatever it is asked."""
    liar = tmp_path / "liar"
    liar.write_text(f"#!/bin/sh\n'{program}' serve | sed -u 's/\tthreads=[0-9]*/\tthreads=7/'\n")
    liar.chmod(0o755)
    with pytest.raises(BackendFailed, match=r"C\+\+ process runs with threads=7 although"):
        Runner(liar, CPU)


def test_a_device_that_is_not_there_is_named(program):
    with pytest.raises(BackendFailed, match="device 'cuda:99' does not exist"):
        Runner(program, replace(CPU, device="cuda:99"))


def test_after_an_error_the_process_serves_on(runner, tmp_path):
    whole = save(Plain(), tmp_path / "whole.ts")
    short = tmp_path / "short.ts"
    short.write_bytes(whole.read_bytes()[:500])
    with pytest.raises(
        BackendFailed, match=r"short\.ts is not a complete TorchScript file \(Pytorch"
    ):
        runner.load(short)
    with pytest.raises(BackendFailed, match=r"missing\.ts does not exist"):
        runner.load(tmp_path / "missing.ts")
    with pytest.raises(BackendFailed, match="no model is loaded"):
        runner.run(1)
    runner.load(whole)
    runner.put(torch.randn(1, 3, 9, 9))
    with pytest.raises(
        BackendFailed, match=r"^mat1 and mat2 shapes cannot be multiplied"
    ) as caught:
        runner.run(1)
    assert "\n" not in str(caught.value)
    assert runner.alive
    runner.put(torch.randn(1, 3, 2, 2))
    runner.run(1)
    assert runner.output().shape == (1, 10)


def test_the_environment_is_scrubbed(monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    monkeypatch.setenv("LD_PRELOAD", "other.so")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    environment = scrubbed_environment()
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    # As in Python, because what they load changes speed and numbers.
    assert environment["LD_LIBRARY_PATH"] == "/elsewhere"
    assert environment["LD_PRELOAD"] == "other.so"
    assert "SECRET_TOKEN" not in environment


def test_a_foreign_libtorch_on_the_library_path_is_not_loaded(program, tmp_path, monkeypatch):
    """The program has an RPATH, which precedes it."""
    for name in ("libtorch.so", "libtorch_cpu.so", "libc10.so"):
        (tmp_path / name).write_text("none")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with Runner(program, CPU) as runner:
        assert str(tmp_path) not in Path(f"/proc/{runner.pid}/maps").read_text()


@pytest.mark.skipif(len(cpus.of_run()) < 2, reason="needs two CPUs")
def test_the_process_starts_with_the_mask_of_the_run_and_says_it_back(program, monkeypatch):
    """Here, OpenMP has narrowed ours; there, it narrows that of the process before its main."""
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(ours)})
    try:
        with Runner(program, CPU):
            pass
        with pytest.raises(BackendFailed, match=rf"cpu_mask={cpus.mask()} although 0 was"):
            Runner(program, replace(CPU, cpu_mask="0"))
    finally:
        os.sched_setaffinity(0, ours)


def test_an_input_of_another_dtype_than_asked_for_is_refused(runner, tmp_path):
    runner.load(save(Plain(), tmp_path / "plain.ts"))
    with pytest.raises(BackendFailed, match="an input is float16 instead of float32"):
        runner.put(torch.zeros(1, 3, 2, 2, dtype=torch.float16))


def test_without_a_gpu_there_is_no_graph_and_no_memory_of_it(runner, tmp_path):
    with pytest.raises(BackendFailed, match="a CUDA graph needs a GPU"):
        runner.load(save(Plain(), tmp_path / "plain.ts"), as_graph=True)
    assert runner.peak_device_bytes() == 0


class Prints(Plain):
    def forward(self, x: Tensor) -> Tensor:
        print("error\tthis is a model speaking")
        return self.linear(x)


def test_a_model_that_prints_does_not_corrupt_the_replies(runner, tmp_path):
    called(runner, Prints(), tmp_path, torch.zeros(2, 12))
    assert runner.output().shape == (2, 10)
    assert len(runner.timed(3)) == 3
    assert "this is a model speaking" in runner._last_words()
