"""Which versions of other people's packages are installed."""

from __future__ import annotations

from importlib import metadata

from deploybench import backends
from deploybench.machine import packages


def test_versions_by_name_and_none_for_what_is_not_there():
    found = packages.installed_versions(["pytest", "no-such-package"])
    assert found == {"pytest": metadata.version("pytest"), "no-such-package": None}


def test_a_package_that_comes_by_another_name_has_that_ones_version(monkeypatch):
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"engine": ["pytest"]})
    assert packages.installed_version("engine") == metadata.version("pytest")


def test_a_backend_names_what_it_runs_on():
    assert backends.registry()["openvino-cpp"].packages() == ("openvino", "onnx", "onnxscript")
    assert backends.registry()["eager"].packages() == ()
