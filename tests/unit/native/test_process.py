"""The C++ program: what it answers, how it fails, and how it is driven."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deploybench import settings
from deploybench.errors import BackendFailed
from deploybench.machine import cpus
from deploybench.native.build import ensure_runner
from deploybench.native.process import Runner, scrubbed_environment

CPU = settings.resolve("cpu")


class Plain(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1))


class GivesTuple(Plain):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.linear(x.flatten(1)), x


class NeverEnds(Plain):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while bool((x == x).all()):
            x = x + 1
        return x


class Chooses(torch.nn.Module):
    """An image classifier of any size: the mean of each channel, repeated."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3)).repeat(1, 4)


def save(module: torch.nn.Module, path) -> str:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module.eval()).save(str(path))
    return path


@pytest.fixture(scope="session")
def program():
    return ensure_runner()


@pytest.fixture
def runner(program):
    with Runner(program, CPU, deadline=60) as started:
        yield started


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


def test_a_process_that_hangs_is_ended_at_the_deadline(program, tmp_path):
    with Runner(program, CPU, deadline=2) as runner:
        runner.load(save(NeverEnds(), tmp_path / "never.ts"))
        runner.put(torch.zeros(1, 3, 2, 2))
        with pytest.raises(BackendFailed, match="did not answer 'run' within 2 s and was ended"):
            runner.run(1)
        assert not runner.alive
        with pytest.raises(ProcessLookupError):
            os.kill(runner.pid, 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_dies_is_reported_with_its_signal(runner, number):
    os.kill(runner.pid, number)
    with pytest.raises(BackendFailed, match=f"was ended by {number.name} during 'run'"):
        runner.run(1)
    assert not runner.alive


def test_last_words_are_passed_on(tmp_path):
    program = tmp_path / "dying"
    program.write_text("#!/bin/sh\necho 'first' >&2; echo 'out of cheese' >&2; exit 7\n")
    program.chmod(0o755)
    with pytest.raises(BackendFailed, match=r"exit code 7 .* last words: out of cheese"):
        Runner(program, CPU)


def test_nothing_is_left_behind(program, tmp_path, monkeypatch):
    monkeypatch.setattr("deploybench.native.process._memory_folder", lambda: str(tmp_path))
    with Runner(program, CPU) as runner:
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(runner.pid, 0)


def test_the_process_does_not_outlive_its_parent(program):
    code = (
        "import os, pathlib\n"
        "from deploybench import settings\n"
        "from deploybench.native.process import Runner\n"
        f"r = Runner(pathlib.Path({str(program)!r}), settings.resolve('cpu'))\n"
        "print(r.pid, flush=True); os._exit(1)"
    )
    parent = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    child = int(parent.stdout)
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the C++ process outlived its parent by 10 s")


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


@pytest.fixture
def run_program(program):
    def run(*arguments) -> subprocess.CompletedProcess[str]:
        command = [str(program), *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=scrubbed_environment(),
        )

    return run


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.dat"
    pixels = torch.zeros(3, 8, 8)
    pixels[1], pixels[2] = 1.0, -1.0
    pixels.numpy().tofile(path)
    return path


def test_infer_prints_five_percentages(run_program, image, tmp_path):
    model = save(Chooses(), tmp_path / "chooses.ts")
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"class {index}\n" for index in range(12)))
    ran = run_program("infer", model, image, "--labels", labels)
    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    assert len(lines) == 5
    assert {line.split("% ")[1] for line in lines[:4]} == {f"class {n}" for n in (1, 4, 7, 10)}
    assert lines[0].startswith("16.63% ")


def test_bench_prints_a_log_that_merges(run_program, tmp_path):
    model = save(Chooses(), tmp_path / "chooses.ts")
    ran = run_program("bench", model, "--rounds", "7", "--size", "8", "--threads", "1")
    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    assert lines[0] == "#head;TorchScript (C++)"
    assert "cpu, 1 threads, batch size 1" in lines[1]
    assert "7 calls" in lines[2]
    name, _, milliseconds = lines[3].partition(";")
    assert name == f"#{model}"
    assert float(milliseconds) > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "a command is missing"),
        (["dance"], 2, "unknown command 'dance'"),
        (["infer", "{model}"], 2, "infer needs another argument"),
        (["bench", "{model}", "--rounds", "0"], 2, "'0' is not a positive whole number"),
        (["bench", "{model}", "--speed", "9"], 2, "unknown option '--speed'"),
        (["bench", "{folder}/none.ts"], 1, "none.ts does not exist"),
        (["bench", "{short}"], 1, "short.ts is not a complete TorchScript file"),
        (["bench", "{model}", "--device", "cuda:42"], 1, "device 'cuda:42' does not exist"),
        (["bench", "{model}", "--device", "gpu"], 1, "unknown device 'gpu'"),
        (["infer", "{model}", "{short}"], 1, "bytes, which is not a square image"),
        (["infer", "{model}", "{folder}/none.dat"], 1, "none.dat: cannot be read"),
        (["infer", "{model}", "{image}", "--labels", "{few}"], 1, "labels, but the model has 12"),
        (["infer", "{model}", "{image}", "--labels", "{short}"], 1, "has control characters"),
    ],
)
def test_bad_arguments_end_in_one_line(run_program, image, tmp_path, arguments, code, words):
    model = save(Chooses(), tmp_path / "chooses.ts")
    short = tmp_path / "short.ts"
    short.write_bytes(model.read_bytes()[:333])
    few = tmp_path / "few.txt"
    few.write_text("one\ntwo\n")
    places = {"model": model, "image": image, "short": short, "few": few, "folder": tmp_path}
    ran = run_program(*(argument.format(**places) for argument in arguments))
    assert ran.returncode == code
    assert words in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("model_runner: ")


def test_an_input_of_another_dtype_than_asked_for_is_refused(runner, tmp_path):
    runner.load(save(Plain(), tmp_path / "plain.ts"))
    with pytest.raises(BackendFailed, match="an input is float16 instead of float32"):
        runner.put(torch.zeros(1, 3, 2, 2, dtype=torch.float16))


def test_without_a_gpu_there_is_no_graph_and_no_memory_of_it(runner, tmp_path):
    with pytest.raises(BackendFailed, match="a CUDA graph needs a GPU"):
        runner.load(save(Plain(), tmp_path / "plain.ts"), as_graph=True)
    assert runner.peak_device_bytes() == 0
