"""The aoti backend: its answer, what it refuses, and what it leaves behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from dataclasses import replace

import pytest
import torch
import torch._inductor.codecache

from deploybench import backends, processes, settings
from deploybench.backends.aoti import LOAD
from deploybench.errors import BackendFailed, BackendUnavailable
from deploybench.models import torchvision_zoo, weights
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

from .small import Small

CACHE = "TORCHINDUCTOR_CACHE_DIR"


class Chooses(torch.nn.Module):
    def forward(self, batch):
        return batch if batch.sum() > 0 else -batch


def make():
    backend = backends.registry()["aoti"](settings.resolve("cpu"))
    backend.require()
    return backend


@pytest.fixture(scope="module")
def module():
    return Small().eval()


@pytest.fixture(scope="module")
def package(module, tmp_path_factory):
    path = tmp_path_factory.mktemp("aoti") / "small.aoti.pt2"
    backend = make()
    try:
        backend.export(module, (torch.zeros(2, 3, 9, 9),), path)
    finally:
        backend.close()
    return path


@pytest.fixture
def session(module, package):
    backend = make()
    session = backend.load(module, package)
    yield session
    session.close()
    backend.close()


@pytest.mark.slow
def test_it_answers_each_input(module, session):
    batches = [torch.randn(2, 3, 9, 9) for _ in range(2)]
    answers = [session.predict((batch,)) for batch in batches]
    with torch.inference_mode():
        expected = [module(batch) for batch in batches]
    torch.testing.assert_close(answers, expected)


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(1, 3, 9, 9),
        torch.zeros(2, 3, 11, 11),
        torch.zeros(2, 3, 9, 9, dtype=torch.float16),
        torch.zeros(2, 3, 9, 9).to(memory_format=torch.channels_last),
    ],
    ids=["batch size", "image size", "dtype", "layout"],
)
def test_an_input_it_was_not_made_for_is_refused(session, batch):
    with pytest.raises(RuntimeError):
        session.predict((batch,))


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """An empty folder for temporary files, and no folder for Inductor's cache."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv(CACHE, raising=False)
    return folder


@pytest.mark.slow
def test_exporting_leaves_nothing_behind(module, tmp_path, temporary):
    # Twice: what the first has removed must not be what the second relies on.
    for number in range(2):
        backend = make()
        backend.export(module, (torch.zeros(1, 3, 9, 9),), tmp_path / f"{number}.aoti.pt2")
        backend.close()
        assert [
            each.name for each in temporary.iterdir() if not each.name.startswith("torchinductor_")
        ] == []


def test_what_cannot_be_exported_fails_in_one_line(tmp_path):
    backend = make()
    try:
        with pytest.raises((BackendFailed, RuntimeError)) as caught:
            backend.export(Chooses().eval(), (torch.ones(1, 3),), tmp_path / "chooses.aoti.pt2")
        assert str(caught.value).strip().splitlines()[0]
    finally:
        backend.close()


def test_a_package_cut_short_is_an_error(module, package, tmp_path):
    cut = tmp_path / "cut.aoti.pt2"
    cut.write_bytes(package.read_bytes()[:100])
    backend = make()
    try:
        with pytest.raises((BackendFailed, RuntimeError, OSError)):
            backend.load(module, cut)
    finally:
        backend.close()


def test_a_package_that_ends_the_process_is_tried_in_another_first(module, package, monkeypatch):
    tried = []

    def run(command, deadline):
        tried.append(command[-1])
        return subprocess.CompletedProcess(command, -signal.SIGSEGV)

    monkeypatch.setattr(processes, "run", run)
    on_gpu = replace(settings.resolve("cpu"), device="cuda:0")
    backend = backends.registry()["aoti"](on_gpu)
    for _ in range(2):
        with pytest.raises(BackendFailed, match=r"crashes Python here \(SIGSEGV\)"):
            backend.load(module, package)
    assert tried == [str(package)]


@pytest.mark.sweep
def test_a_package_can_be_loaded_in_another_process(package):
    assert processes.run([sys.executable, "-c", LOAD, str(package)], 120).returncode == 0


def test_without_a_compiler_it_is_unavailable(monkeypatch, temporary):
    monkeypatch.setenv("PATH", str(temporary))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BackendUnavailable, match=r"there is no C\+\+ compiler: install one"):
        make()
    assert [
        each.name for each in temporary.iterdir() if not each.name.startswith("torchinductor_")
    ] == []


@pytest.mark.sweep
def test_resnet18_gives_eagers_answer():
    plan = Plan(settings.resolve("cpu"), weights.parse("random"), inputs=2)
    with Workbench(plan) as bench, bench.case(torchvision_zoo.model("resnet18"), "aoti") as case:
        assert case.check(1).agrees
