"""Which device and threads a run gets, and that what was asked for is in force."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from deploybench import settings
from deploybench.errors import BackendFailed, UsageError


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:3"])
def test_device_names(name):
    assert settings.check_device_name(name) == name


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_an_unknown_device_name_is_named_with_those_allowed(name):
    with pytest.raises(UsageError, match=rf"unknown device '{name}': allowed: auto, cpu, cuda"):
        settings.check_device_name(name)


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert settings.resolve_device("auto") == "cpu"


def test_auto_is_the_first_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert settings.resolve_device("auto") == "cuda:0"
    assert settings.resolve_device("cuda") == "cuda:0"
    assert settings.resolve_device("cuda:1") == "cuda:1"
    words = r"'cuda:2' does not exist: .* has CUDA devices cuda:0 to cuda:1"
    with pytest.raises(UsageError, match=words):
        settings.resolve_device("cuda:2")


def test_a_missing_gpu_is_reported(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = "'cuda' does not exist: this machine has no CUDA device; use --device auto"
    with pytest.raises(UsageError, match=words):
        settings.resolve_device("cuda")


def test_apply_puts_every_setting_in_force():
    before = settings.resolve("cpu")
    try:
        settings.apply(replace(before, threads=1, matmul_precision="high", cudnn_tf32=False))
        assert torch.get_num_threads() == 1
        assert torch.get_float32_matmul_precision() == "high"
        assert not torch.backends.cudnn.allow_tf32
    finally:
        settings.apply(before)


def test_the_gpu_of_the_run_is_the_current_one(monkeypatch):
    """torch records events and captures graphs on the current GPU, whichever holds the model."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: int(chosen[-1].partition(":")[2]))
    settings.apply(replace(settings.resolve("cpu"), device="cuda:1"))
    assert chosen == ["cuda:1"]
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    with pytest.raises(BackendFailed, match="device=cuda:0 although cuda:1 was requested"):
        settings.apply(replace(settings.resolve("cpu"), device="cuda:1"))


def test_a_setting_that_is_not_in_force_is_an_error_that_names_it():
    words = r"C\+\+ process runs with threads=1 although 2 was requested"
    with pytest.raises(BackendFailed, match=words):
        settings.require_in_force({"threads": 2}, {"threads": 1}, "C++")


def test_workers_share_the_threads(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert settings.default_threads() == 8
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    assert settings.default_threads() == 2
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "16")
    assert settings.default_threads() == 1


@pytest.mark.parametrize(("grad_mode", "inference"), [("inference", True), ("no_grad", False)])
def test_the_grad_mode_that_is_reported_is_the_one_that_calls_are_made_in(grad_mode, inference):
    from deploybench.backends.session import InProcessSession

    seen = []

    def forward(batch):
        seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        return batch

    chosen = replace(settings.resolve("cpu"), grad_mode=grad_mode)
    settings.apply(chosen)
    session = InProcessSession(forward, chosen)
    session.predict((torch.zeros(1),))
    session.timed(1)
    assert seen == [(inference, False)] * 2


def test_a_grad_mode_that_is_not_one_is_refused():
    with pytest.raises(BackendFailed, match=r"grad_mode=no_grad although enabled was requested"):
        settings.apply(replace(settings.resolve("cpu"), grad_mode="enabled"))
