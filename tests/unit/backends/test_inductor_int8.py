"""Inductor in int8: what it says of the kernels that ran, and where it cannot run."""

from __future__ import annotations

import importlib.util
import platform
from types import SimpleNamespace

import pytest
import torch

from deploybench import backends, settings
from deploybench.backends.base import ReducedWork
from deploybench.backends.inductor_int8 import CALLS, work_of
from deploybench.errors import BackendUnavailable
from deploybench.formats.base import Calibration

from .test_int8 import Small


@pytest.fixture
def backend():
    made = backends.registry()["inductor-int8"](settings.resolve("cpu", threads=1))
    yield made
    made.close()


def event(name: str, microseconds: float) -> SimpleNamespace:
    return SimpleNamespace(name=name, cpu_time_total=microseconds)


def test_the_share_in_int8_is_that_of_the_kernels_in_the_profile():
    call = [event("onednn::qconv_pointwise", 30), event("onednn::qlinear_pointwise", 20)]
    call += [event("mkldnn::_convolution_pointwise", 40), event("aten::empty", 1)]
    assert work_of(CALLS * call, 4, CALLS * 200e-6) == ReducedWork(4, 2, pytest.approx(0.25))
    assert work_of([], 1, 0.0) == ReducedWork(1, 0, None)


def test_on_another_kind_of_processor_it_is_unavailable_and_names_what_is(backend, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(BackendUnavailable, match=r"only on x86 .* aarch64: use onnxruntime-int8"):
        backend.require()


@pytest.mark.slow
def test_a_head_that_inductor_multiplies_by_itself_is_not_counted_as_int8(backend, tmp_path):
    if importlib.util.find_spec("torchao") is None:
        pytest.skip("torchao is not installed: make setup-all")
    backend.require()
    module, batch, path = Small().eval(), (torch.randn(1, 3, 32, 32),), tmp_path / "small.pt2"
    module.layers[-1] = torch.nn.Linear(16, 16)
    backend.export(module, batch, path, Calibration(lambda: iter([batch]), 1, "noise"))
    session = backend.load(torch.nn.Identity(), path)
    answer = session.predict(batch)
    # Closing any compiled session drops the compiled code of all.
    session.close()
    work = backend.reduced_work(path, batch)
    assert (work.layers, work.reduced) == (3, 2)
    torch.testing.assert_close(session.predict(batch), answer)
    with pytest.raises(Exception, match=r"shape|size|guard"):
        session.predict((torch.randn(2, 3, 32, 32),))
