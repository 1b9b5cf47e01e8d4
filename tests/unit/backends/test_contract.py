"""What every registered backend promises, whatever it deploys and whatever runs it."""

from __future__ import annotations

import gc
import importlib.util
import re
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from torch._subclasses import FakeTensor

from deploybench import backends, settings
from deploybench.errors import BackendUnavailable, DeploybenchError
from deploybench.models import Model
from deploybench.models.weights import RANDOM
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

from .. import tiny

CPU = settings.resolve("cpu", threads=1)
REGISTRY = backends.registry()
# Those that compile take ten seconds and more for the smallest model; the last, after calibration.
SLOWEST = {"inductor-int8", "executorch-int8", "executorch-int8-cpp", "aoti"}
COMPILING = {"compiled", "max-autotune", "aoti", "aoti-cpp", "executorch", "executorch-cpp"}
COMPILING |= SLOWEST


def model_of(backend: str) -> Model:
    """The model for a backend.

    In reduced precision it has random weights: then it is calibrated with few inputs, and nothing
    is claimed. Others get the weights that it is built with, of which eager's error is not
    exceptionally small.
    """
    reduced = REGISTRY[backend].precision is not None
    return replace(tiny.MODEL, weights="random") if reduced else tiny.MODEL


def names(*, exporting: bool = False, marks: pytest.MarkDecorator = pytest.mark.slow) -> list:
    chosen = [name for name in REGISTRY if not exporting or REGISTRY[name].format is not None]
    slowest = {name: pytest.mark.sweep for name in SLOWEST}
    return [
        pytest.param(name, marks=slowest.get(name, marks)) if name in COMPILING else name
        for name in chosen
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where everything temporary goes meanwhile."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    # Other processes of the machine may have files in shared memory.
    monkeypatch.setattr("deploybench.native.process._memory_folder", lambda: str(tmp_path))
    return tmp_path


def workbench() -> Workbench:
    return Workbench(Plan(CPU, RANDOM, inputs=2))


def require(bench: Workbench, name: str) -> None:
    try:
        bench.backend(name)
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", names())
def test_it_answers_times_itself_and_takes_a_second_input(name, folder):
    children = set(psutil.Process().children(recursive=True))
    with workbench() as bench:
        require(bench, name)
        with bench.case(model_of(name), name) as case:
            assert case.check(1).agrees, case.check(1).reason
            first, second = case.prepared.batches(1)
            answers = [case.session.predict(batch) for batch in (first, second, first)]
            assert not torch.equal(answers[0], answers[1])
            assert torch.equal(answers[0], answers[2])
            assert len(case.session.timed(3)) == 3
            assert min(case.session.timed(3, include_copies=True)) > 0
            assert case.session.queued(3) > 0
            assert case.session.device_timed(3) == []
            assert torch.equal(case.session.output(), answers[2])
            assert case.session.clock
    assert [path for path in folder.iterdir() if path.name.startswith("deploybench-")] == []
    # A library may have started a process that ends by itself soon.
    started = set(psutil.Process().children(recursive=True)) - children
    _, left = psutil.wait_procs(started, timeout=30)
    assert left == []


@pytest.mark.parametrize("name", names())
def test_what_models_leave_does_not_add_up(name):
    with workbench() as bench:
        require(bench, name)
        alive = []
        for _ in range(2):  # a library may keep the last model, as the rules of onnxscript do
            with bench.case(model_of(name), name) as case:
                case.check(1)
                del case
            bench.release()
            assert not bench.not_released
            alive.append(live_tensors())
    assert alive[1] <= alive[0]


def live_tensors() -> int:
    """How many tensors with data there are."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    return sum(issubclass(kind, torch.Tensor) and kind is not FakeTensor for kind in kinds)


@pytest.mark.parametrize("name", names(exporting=True))
def test_an_artifact_cut_short_ends_in_one_line(name):
    with workbench() as bench:
        require(bench, name)
        prepared, backend = bench.prepared(model_of(name)), bench.backend(name)
        path = prepared.artifact(backend).path
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(DeploybenchError) as caught, bench.case(model_of(name), name):
            pass
        assert "\n" not in str(caught.value)
        assert tiny.MODEL.name in str(caught.value)
        # Nothing of it is left: another model of the same run is fine.
        path.unlink()
        bench.prepared(model_of(name))._artifacts.clear()
        with bench.case(model_of(name), name) as case:
            assert case.check(1).agrees


@pytest.mark.parametrize("name", [name for name in REGISTRY if REGISTRY[name].packages()])
def test_without_a_package_it_is_unavailable_and_says_how_to_install_it(name, monkeypatch):
    find_spec = importlib.util.find_spec
    if any(find_spec(package) is None for package in REGISTRY[name].packages()):
        pytest.skip("the packages are not all installed: make setup-all")
    for missing in REGISTRY[name].packages():
        with monkeypatch.context() as patched:
            patched.setattr(
                importlib.util,
                "find_spec",
                lambda asked, *rest, missing=missing: (
                    None if asked == missing else find_spec(asked, *rest)
                ),
            )
            backend = REGISTRY[name](CPU)
            words = rf"{missing} is not installed: pip install \S+"
            with pytest.raises(BackendUnavailable, match=words):
                backend.require()
            backend.close()


@pytest.mark.parametrize("name", list(REGISTRY))
def test_what_it_cannot_do_here_is_found_out_once(name, monkeypatch):
    asked = []

    def unavailable(self):
        asked.append(1)
        raise BackendUnavailable("gizmo is not here: pip install gizmo")

    monkeypatch.setattr(REGISTRY[name], "require", unavailable)
    with workbench() as bench:
        for _ in range(2):
            with pytest.raises(BackendUnavailable, match="gizmo"), bench.case(model_of(name), name):
                pass
    assert asked == [1]


@pytest.mark.parametrize("error", [RuntimeError, ValueError, AttributeError, MemoryError, OSError])
@pytest.mark.parametrize("name", list(REGISTRY))
def test_whatever_its_libraries_raise_ends_in_one_line(name, error, monkeypatch):
    def broken(self, module, artifact):
        raise error("kernel panic\nbacktrace: ...")

    monkeypatch.setattr(REGISTRY[name], "require", lambda self: None)
    monkeypatch.setattr(
        REGISTRY[name], "export", lambda self, module, example, path, *_: path.touch()
    )
    monkeypatch.setattr(REGISTRY[name], "load", broken)
    words = rf"^tiny through {re.escape(name)}: {error.__name__}: kernel panic$"
    with (
        workbench() as bench,
        pytest.raises(DeploybenchError, match=words) as caught,
        bench.case(model_of(name), name),
    ):
        pass
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", list(REGISTRY))
def test_its_class_says_what_it_is(name):
    backend = REGISTRY[name]
    assert backend.name == name
    assert backend.title
    assert isinstance(backend.order, int)
    assert isinstance(backend.default, bool)
    assert backend.__doc__


def test_the_backends_of_one_format_share_one_file():
    with workbench() as bench:
        prepared = bench.prepared(tiny.MODEL)
        files = {
            name: prepared.artifact(bench.backend(name)) for name in ("scripted", "cpp", "frozen")
        }
    assert files["scripted"] is files["cpp"]
    assert files["scripted"].sha256 != files["frozen"].sha256


def test_a_failed_case_holds_no_tensors(monkeypatch):
    kept = []

    def hungry(self, module, artifact):
        large = torch.zeros(1000)
        kept.append(weakref.ref(large))
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(REGISTRY["eager"], "load", hungry)
    with workbench() as bench:
        with (
            pytest.raises(DeploybenchError, match="no room") as caught,
            bench.case(tiny.MODEL, "eager"),
        ):
            pass
        gc.collect()
        assert caught.value
        assert kept[0]() is None


def test_a_session_whose_first_call_fails_is_closed(monkeypatch):
    closed = []

    def load(self, module, artifact):
        from deploybench.backends.session import InProcessSession

        class Broken(InProcessSession):
            def run(self):
                raise RuntimeError("no kernel")

            def close(self):
                closed.append(1)

        return Broken(module, self.settings)

    monkeypatch.setattr(REGISTRY["eager"], "load", load)
    with workbench() as bench:
        with pytest.raises(DeploybenchError, match="no kernel"), bench.case(tiny.MODEL, "eager"):
            pass
        assert closed == [1]
