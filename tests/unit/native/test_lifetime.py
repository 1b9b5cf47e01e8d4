"""When the C++ process ends, and what it does before it has threads."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from torch import Tensor

from deploybench import settings
from deploybench.errors import BackendFailed
from deploybench.native.build import ensure_runner, find_compiler
from deploybench.native.process import Runner
from tests.unit.gpu import needs_gpu
from tests.unit.native.scripted import NeverEnds, Plain, save

CPU = settings.resolve("cpu")

PARENT = """
import pathlib, sys, threading, torch
from deploybench import settings
from deploybench.native.build import ensure_runner
from deploybench.native.process import Runner
runner = Runner(ensure_runner(), settings.resolve("cpu"))
runner.load(pathlib.Path(sys.argv[1]))
runner.put(torch.zeros(1, 3, 2, 2))
print(runner.pid, flush=True)
runner.run(1)
"""

# Says so when the environment is changed in a process that has started threads.
WATCHES_ENVIRONMENT = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
static int threads = 0;
int pthread_create(pthread_t* t, const pthread_attr_t* a, void* (*f)(void*), void* x) {
  threads = 1;
  return ((int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*))
          dlsym(RTLD_NEXT, "pthread_create"))(t, a, f, x);
}
int setenv(const char* name, const char* value, int replace) {
  fprintf(stderr, "%s is set %s\\n", name, threads ? "late" : "in time");
  return ((int (*)(const char*, const char*, int))dlsym(RTLD_NEXT, "setenv"))(name, value, replace);
}
"""


def ends(pid: int) -> bool:
    """Whether the process ends within 10 s; if not, it is ended here."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    return False


def test_it_outlives_the_thread_that_started_it():
    runners = []
    starter = threading.Thread(target=lambda: runners.append(Runner(ensure_runner(), CPU)))
    starter.start()
    starter.join()
    with runners[0] as runner:
        time.sleep(0.5)
        assert runner.alive
        runner.unload()


def test_it_ends_with_its_parent_even_in_the_middle_of_a_call(tmp_path):
    model = save(NeverEnds(), tmp_path / "never.ts")
    command = [sys.executable, "-c", PARENT, str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.5)
        os.kill(child, 0)
        parent.kill()
    assert ends(child)


def test_it_answers_all_that_it_was_sent_before_its_input_ended():
    told = subprocess.run(
        [str(ensure_runner()), "serve"],
        input=b"hello\nunload\nmemory\n",
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert [line.split(b"\t")[0] for line in told.stdout.splitlines()] == [b"ok"] * 3


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_the_environment_is_set_before_there_are_threads(tmp_path, monkeypatch):
    (tmp_path / "watch.c").write_text(WATCHES_ENVIRONMENT)
    library = tmp_path / "watch.so"
    command = [find_compiler(), "-x", "c", "-shared", "-fPIC", "-o", library, tmp_path / "watch.c"]
    subprocess.run([*command, "-ldl"], check=True)
    program = tmp_path / "watched"
    program.write_text(f"#!/bin/sh\nLD_PRELOAD={library} exec '{ensure_runner()}' serve\n")
    program.chmod(0o755)
    package = tmp_path / "no.pt2"
    package.write_bytes(b"no package")
    with Runner(program, CPU) as runner:
        runner.load(save(Plain(), tmp_path / "plain.ts"))
        runner.put(torch.zeros(1, 3, 2, 2))
        runner.run(1)
        with pytest.raises(BackendFailed, match="is not a complete AOTInductor package"):
            runner.load(package)
        runner._errors.seek(0)
        said = runner._errors.read().decode()
    assert "AOTI_RUNTIME_CHECK_INPUTS is set in time" in said
    assert "AOTI_RUNTIME_CHECK_INPUTS is set late" not in said


def test_a_request_that_an_alarm_cuts_off_ends_the_process(monkeypatch):
    # Its late reply would be taken for that of the next request.
    runner = Runner.__new__(Runner)
    runner._process = subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )

    def alarm(verb):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_read_line", alarm)
    with pytest.raises(KeyboardInterrupt):
        runner._request("time", "5")
    assert runner._process.poll() is not None


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
