"""The suite in a repository of somebody else: two lines, no pytest.ini, other plugins beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.plugin import MODEL, ROOT, clean_environment

COMPAT = ROOT / ".compat"
TESTS = "from deploybench.suite import test_answers, test_latency\n"
# In place of the models that were named, so that a test takes seconds.
TINY = """
import dataclasses
import pytest

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    from deploybench.plugin import OPTIONS
    from tests.unit import tiny
    config.stash[OPTIONS] = dataclasses.replace(config.stash[OPTIONS], models=[tiny.MODEL])
"""
PLUGINS = ("pytest_cov", "randomly", "codspeed", "syrupy")

needs_compat = pytest.mark.skipif(
    not COMPAT.is_dir(),
    reason="pip install --no-deps --target .compat -r requirements-compat.txt",
)


class Repository:
    """A repository that uses the suite in its own tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("conftest.py", 'pytest_plugins = ["deploybench.plugin"]\n')
        self.write("test_models.py", TESTS)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def measure_tiny(self) -> None:
        """Measure the small model of our own."""
        self.write("conftest.py", (self.folder / "conftest.py").read_text() + TINY)

    def pytest(self, *arguments: str, beside: str | None = None, **extra: str):
        """Run pytest; beside: the one other plugin to load, of PLUGINS, or "all"."""
        environment = clean_environment()
        path = [ROOT] if beside is None else [ROOT, COMPAT]
        environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
        off = [] if beside in (None, "all") else [name for name in PLUGINS if name != beside]
        blocked = [word for name in off for word in ("-p", f"no:{name}")]
        chosen = [f"--models={MODEL}", "--backends=eager,scripted", "-p", "no:cacheprovider"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *blocked, *chosen, *arguments],
            cwd=self.folder,
            env=environment | extra,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def repository(tmp_path) -> Repository:
    return Repository(tmp_path)


def ids(ran) -> list[str]:
    return [line for line in ran.stdout.splitlines() if "::" in line]


def one_line_of(ran) -> str:
    """The only line of the errors of a run that never began."""
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR, ran.stdout + ran.stderr
    (line,) = ran.stderr.strip().splitlines()
    return line


@pytest.mark.slow
def test_two_lines_bring_both_tests_beside_a_benchmark_of_the_repositorys_own(repository):
    repository.measure_tiny()
    repository.write("test_own.py", "def test_own(benchmark): benchmark(lambda: 1)\n")
    ran = repository.pytest("--benchmark-json=run.json", "--benchmark-max-time=0.01")
    assert "5 passed" in ran.stdout, ran.stdout
    run = json.loads((repository.folder / "run.json").read_text())
    assert len(run["benchmarks"]) == 3
    merged = subprocess.run(
        [sys.executable, ROOT / "tools" / "merge_perf.py", repository.folder / "run.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert merged.stdout.splitlines()[0] == "Model;PyTorch;TorchScript (Python)", merged.stderr
    assert len(merged.stdout.splitlines()) == 2


@pytest.mark.slow
def test_bounds_are_the_suites_unless_they_are_given(repository):
    repository.write(
        "test_bounds.py",
        "def test_bounds(timed_options):\n"
        "    print(timed_options.min_rounds, timed_options.max_seconds, timed_options.inputs)\n",
    )
    ask = ("test_bounds.py", "-s", "-q")
    assert "None None 2\n" in repository.pytest(*ask).stdout
    given = repository.pytest(*ask, "--benchmark-min-rounds", "7")
    assert "7 None 2\n" in given.stdout
    repository.write("pytest.ini", "[pytest]\naddopts = --benchmark-max-time=0.25\n")
    assert "None 0.25 2\n" in repository.pytest(*ask).stdout
    by_variable = repository.pytest(*ask, PYTEST_ADDOPTS="--benchmark-min-rounds=5")
    assert "5 0.25 2\n" in by_variable.stdout


def test_the_plugin_is_loaded_only_where_it_is_asked_for(repository):
    repository.write("conftest.py", "")
    ran = repository.pytest("--collect-only")
    assert "unrecognized arguments: --models" in ran.stderr


@pytest.mark.parametrize("place", ["conftest.py", "tests/conftest.py"])
@pytest.mark.parametrize("option", ["--device", "--models", "--strict-backends", "--resume"])
def test_an_option_of_the_repository_with_a_name_of_ours_is_one_line(repository, place, option):
    repository.write("tests/test_models.py", TESTS)
    plugins = (repository.folder / "conftest.py").read_text() if place == "conftest.py" else ""
    repository.write(
        place, f"{plugins}def pytest_addoption(parser): parser.addoption('{option}')\n"
    )
    line = one_line_of(repository.pytest("tests", "--collect-only"))
    assert f"has an option {option}, which is one of deploybench's too" in line
    assert "conftest.py" in line


def test_an_option_of_the_repository_with_another_name_is_its_own(repository):
    own = (repository.folder / "conftest.py").read_text()
    own += "def pytest_addoption(parser): parser.addoption('--gpu', dest='gpu')\n"
    repository.write("conftest.py", own)
    assert len(ids(repository.pytest("--collect-only", "-q", "--gpu=1"))) == 4


def test_an_error_of_the_repositorys_own_options_stays_what_it_is(repository):
    repository.write(
        "tests/conftest.py", "def pytest_addoption(parser): raise ValueError('cheese')\n"
    )
    ran = repository.pytest("tests", "--collect-only")
    assert "ValueError: cheese" in ran.stderr


def test_without_pytest_benchmark_one_line_tells_so(repository):
    line = one_line_of(repository.pytest("-p", "no:benchmark"))
    assert "needs pytest-benchmark's plugin" in line


@pytest.mark.slow
def test_timed_tests_are_refused_by_workers_of_xdist_and_answers_are_not(repository):
    repository.measure_tiny()
    ran = repository.pytest("-n1", "--backends=scripted")
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    # pytest-benchmark itself warns on another line that it does not time in parallel.
    (line,) = (each for each in ran.stderr.splitlines() if each.startswith("ERROR"))
    assert line.startswith("ERROR: a timed test cannot run in parallel")
    assert " passed" not in ran.stdout
    answers = repository.pytest("-n1", "--backends=scripted", "-k", "answers")
    assert "1 passed" in answers.stdout


@needs_compat
def test_all_of_them_are_loaded_and_nothing_conflicts(repository):
    repository.write("test_own.py", "def test_own(snapshot): assert 1 == 1\n")
    ran = repository.pytest("--collect-only", "-q", beside="all")
    assert ran.returncode == 0, ran.stderr
    assert len(ids(ran)) == 5


@needs_compat
@pytest.mark.slow
def test_shuffled_tests_have_the_cases_of_a_model_together(repository):
    several = ("--models=resnet18,resnet34,vgg11,alexnet", "--backends=all", "--collect-only", "-q")
    orders = set()
    for seed in range(3):
        ran = repository.pytest(*several, f"--randomly-seed={seed}", beside="randomly")
        models = [re.sub(r".*::(\w+\[\w+)-.*", r"\1", line) for line in ids(ran)]
        changes = 1 + sum(one != other for one, other in pairwise(models))
        assert changes == len(set(models)) == 8
        orders.add(tuple(models))
    assert len(orders) == 3


@needs_compat
@pytest.mark.slow
def test_shuffled_tests_give_a_whole_run(repository):
    repository.measure_tiny()
    ran = repository.pytest(
        "--benchmark-json=run.json", "--benchmark-max-time=0.01", beside="randomly"
    )
    assert "4 passed" in ran.stdout, ran.stdout
    run = json.loads((repository.folder / "run.json").read_text())
    assert {bench["params"]["backend"] for bench in run["benchmarks"]} == {"eager", "scripted"}


@needs_compat
@pytest.mark.slow
def test_under_coverage_answers_are_checked_and_timing_pauses_it(repository):
    repository.measure_tiny()
    traced = ("--cov=deploybench.suite", "--backends=scripted", "--benchmark-max-time=0.01")
    ran = repository.pytest(*traced, "--cov-report=json", beside="pytest_cov")
    assert "2 passed" in ran.stdout, ran.stdout
    assert "Traceback" not in ran.stdout
    files = json.loads((repository.folder / "coverage.json").read_text())["files"]
    # The last line of each test, which comes after what was timed.
    for name in ("answers.py", "latency.py"):
        (of_file,) = (found for path, found in files.items() if path.endswith(name))
        assert max(of_file["executed_lines"]) > max(of_file["missing_lines"], default=0)


@needs_compat
@pytest.mark.slow
def test_under_codspeed_timing_is_refused_and_without_it_works(repository):
    repository.measure_tiny()
    timed = ("-k", "latency", "--benchmark-max-time=0.01", "--backends=scripted")
    ran = repository.pytest(*timed, "--codspeed", beside="codspeed")
    assert "run them without --codspeed" in one_line_of(ran)
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "1 passed" in repository.pytest(*timed, beside="codspeed").stdout


def test_the_two_files_of_the_page_are_those_of_these_tests(repository):
    page = (ROOT / "docs" / "in-your-tests.md").read_text()
    conftest, tests = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert conftest == (repository.folder / "conftest.py").read_text()
    assert tests == TESTS


def test_the_package_is_imported_in_a_moment():
    """The best of several, since a busy machine can only make it longer."""
    code = (
        "import time; t = time.perf_counter(); import deploybench; print(time.perf_counter() - t)"
    )
    ran = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for _ in range(5)
    ]
    assert min(float(each.stdout) for each in ran) < 0.2
