"""The C++ program, and a process of it, for the tests of all that it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploybench import settings
from deploybench.native.build import ensure_runner
from deploybench.native.process import Runner
from tests.unit.native.serving import write_places


@pytest.fixture(scope="session")
def program() -> Path:
    return ensure_runner()


@pytest.fixture
def runner(program) -> Iterator[Runner]:
    with Runner(program, settings.resolve("cpu"), deadline=60) as started:
        yield started


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, str]:
    """Files that a request may name."""
    return write_places(tmp_path_factory.mktemp("requests"))
