"""Every option of pytest-benchmark works on timed tests, or is refused before any is timed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from pytest_benchmark import plugin as pytest_benchmark

from deploybench.errors import UsageError
from deploybench.plugin import benchmark_options, other_plugins
from deploybench.plugin.benchmark_options import (
    CHECKS,
    require_grouping,
    require_loadable,
    require_usable,
)
from deploybench.plugin.writing import json_path
from deploybench.records import reading
from tests.unit.plugin import ROOT

CASE = "tests/perf/test_latency.py::test_latency[tiny-eager]"
LEAVE_OUT = "leave it out"

# By option: words that work, and for others what the line says.
WORKS = {
    "--benchmark-max-time": ["0.02"],
    "--benchmark-min-rounds": ["5"],
    "--benchmark-precision": ["0.2"],
    "--benchmark-confidence": ["0.9"],
    "--benchmark-warmup": ["on"],
    "--benchmark-disable-gc": [],
    "--benchmark-skip": [],
    "--benchmark-enable": [],
    "--benchmark-only": [],
    "--benchmark-save": ["mine"],
    "--benchmark-autosave": [],
    "--benchmark-save-data": [],
    "--benchmark-json": ["run.json"],
    "--benchmark-compare": [],
    "--benchmark-compare-fail": ["min:1000000000"],
    "--benchmark-storage": ["saved"],
    "--benchmark-verbose": [],
    "--benchmark-quiet": [],
    "--benchmark-sort": ["name"],
    "--benchmark-group-by": ["param:batch_size"],
    "--benchmark-columns": ["median,rounds"],
    "--benchmark-name": ["long"],
    "--benchmark-time-unit": ["ms"],
}
REFUSED = {
    ("--benchmark-min-time", "0.1"): "a round of a timed test is one call",
    ("--benchmark-max-time", "-1"): "a number of seconds of at least 0",
    ("--benchmark-max-time", "nan"): "a number of seconds of at least 0",
    ("--benchmark-timer", "time.time"): "each backend has a synchronised clock of its own",
    ("--benchmark-calibration-precision", "5"): "a round of a timed test is one call",
    ("--benchmark-warmup", "off"): "timed tests are always warmed up",
    ("--benchmark-warmup-iterations", "7"): "warmed up by five calls",
    ("--benchmark-disable",): "timed tests would not be saved",
    ("--benchmark-json", "absent/run.json"): "absent does not exist; create this folder first",
    ("--benchmark-compare-fail", "min:5%"): "give --benchmark-compare, and save a run first",
    ("--benchmark-cprofile", "ncalls"): "use python -m cProfile -m pytest",
    ("--benchmark-cprofile-loops", "3"): "use python -m cProfile -m pytest",
    ("--benchmark-cprofile-top", "3"): "use python -m cProfile -m pytest",
    ("--benchmark-cprofile-dump", "profile"): "use python -m cProfile -m pytest",
    ("--benchmark-netrc", "file"): LEAVE_OUT,
    ("--benchmark-storage", "elasticsearch+http://host"): "runs of timed tests are files",
    ("--benchmark-histogram", "plot"): "pip install",
}


class Options:
    """What pytest-benchmark's parser makes of words, as a pytest.Config has it."""

    def __init__(self, *words: str) -> None:
        self.parser = argparse.ArgumentParser()
        pytest_benchmark.pytest_addoption(self)
        self.option = self.parser.parse_args(words)
        self.invocation_params = SimpleNamespace(args=words)
        self._benchmarksession = SimpleNamespace(compared_mapping={})

    def getgroup(self, name):
        return self

    def addoption(self, *names, **given):
        self.parser.add_argument(*names, **given)

    def getoption(self, name, default=None):
        return getattr(self.option, name.lstrip("-").replace("-", "_"), default)

    def getini(self, name):
        return []

    def names(self):
        options = self.parser._option_string_actions
        return {name for name in options if name.startswith("--benchmark-")}


def test_every_option_of_pytest_benchmark_is_known():
    names = Options().names()
    assert len(names) > 30
    assert names <= set(CHECKS)
    assert {*WORKS, *(option for option, *_ in REFUSED)} == names


@pytest.fixture
def no_pygal(monkeypatch):
    find_spec = benchmark_options.importlib.util.find_spec
    monkeypatch.setattr(
        benchmark_options.importlib.util,
        "find_spec",
        lambda name: None if "pygal" in name else find_spec(name),
    )


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
@pytest.mark.usefixtures("no_pygal")
def test_an_option_that_means_nothing_is_refused_in_one_line(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        require_usable(Options(*words), [CASE])
    line = str(caught.value)
    assert line.startswith(f"{words[0]} cannot be used on timed tests: ")
    assert REFUSED[words] in line
    assert "\n" not in line


def test_a_file_that_cannot_be_written_is_refused_with_or_without_timed_tests(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    require_loadable(Options("--benchmark-json", "run.json"))
    for word, reason in (("absent/run.json", "create this folder"), (".", "the name of a file")):
        with pytest.raises(UsageError, match=f"^--benchmark-json cannot be used: .*{reason}"):
            require_loadable(Options("--benchmark-json", word))


@pytest.mark.parametrize("option", sorted(set(WORKS) - {"--benchmark-compare-fail"}))
def test_an_option_that_works_is_not_refused(option, tmp_path, monkeypatch):
    if option not in Options().names():
        pytest.skip("this version of pytest-benchmark does not have it")
    monkeypatch.chdir(tmp_path)
    require_usable(Options(option, *WORKS[option]), [CASE])


def test_a_comparison_that_is_to_fail_needs_a_run_with_a_case_of_this_one():
    options = Options("--benchmark-compare-fail", "min:5%")
    options._benchmarksession.compared_mapping = {"0001": {CASE: {}}}
    require_usable(options, [CASE])
    with pytest.raises(UsageError, match="none of the cases of this one; compare with another"):
        require_usable(options, ["another"])


@pytest.mark.parametrize("word", ["cheese", "param:cheese", "name,param:"])
def test_tests_are_grouped_only_by_what_there_is(word):
    require_grouping("group,name,func,fullname,fullfunc,param,param:model", {"model"})
    with pytest.raises(UsageError, match="--benchmark-group-by"):
        require_grouping(word, {"model"})


def test_the_file_of_a_run_is_known_in_every_version_of_pytest_benchmark(tmp_path):
    path = tmp_path / "run.json"
    with path.open("wb") as opened:
        assert json_path(opened) == path
    assert json_path(path) == json_path(str(path)) == path
    assert json_path(None) is None


# Its parameters have the names of ours, and it has nothing that a reader of runs looks for.
ORDINARY = """
import pytest

@pytest.mark.parametrize("model", ["cheese"])
def test_ordinary(model, benchmark):
    benchmark.extra_info["column"] = 7
    benchmark(lambda: 1)

def test_bare(benchmark):
    benchmark(lambda: 1)
"""


@pytest.mark.slow
def test_options_that_work_do_so_together_and_beside_ordinary_benchmarks(run_pytest, tmp_path):
    (tmp_path / "test_ordinary.py").write_text(ORDINARY)
    left_out = {"--benchmark-skip", "--benchmark-quiet"}
    places = {
        "--benchmark-json": [str(tmp_path / "run.json")],
        "--benchmark-storage": [str(tmp_path / "saved")],
        "--benchmark-compare": ["0001"],
    }
    words = [
        word
        for option, values in WORKS.items()
        if option not in left_out
        for word in ("=".join([option, *places.get(option, values)]),)
    ]
    given = (
        *("-c", str(ROOT / "pytest.ini"), f"--rootdir={ROOT}", "-p", "deploybench.plugin"),
        *("tests/perf", str(tmp_path / "test_ordinary.py"), "--models=tests.unit.tiny:MODEL"),
        "--backends=eager,scripted",
    )
    compares = ("--benchmark-compare=0001", "--benchmark-compare-fail=min:1000000000")
    first = run_pytest(*given, *(word for word in words if word not in compares))
    assert first.returncode == 0, first.stdout + first.stderr
    again = run_pytest(*given, *words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Traceback" not in again.stdout + again.stderr
    assert "'batch_size=1'" in again.stdout
    assert "'batch_size=-'" in again.stdout
    run = json.loads((tmp_path / "run.json").read_text())
    assert len(run["benchmarks"]) == 4
    for path in (tmp_path / "run.json", *(tmp_path / "saved").rglob("*mine.json")):
        assert [case.backend for case in reading.read(Path(path)).cases] == ["eager", "scripted"]


def test_a_comparison_needs_no_run_and_no_timed_test(run_pytest, tmp_path):
    (tmp_path / "test_none.py").write_text("def test_none(): pass\n")
    storage = tmp_path / "saved" / "Linux-CPython-3.11-64bit"
    storage.mkdir(parents=True)
    of_others = {"machine_info": {"node": "elsewhere"}, "benchmarks": []}
    (storage / "0001_theirs.json").write_text(json.dumps(of_others))
    ran = run_pytest(
        *("-p", "deploybench.plugin", "-c", str(ROOT / "pytest.ini"), f"--rootdir={ROOT}"),
        *(str(tmp_path / "test_none.py"), f"--benchmark-storage={storage.parent}"),
        *("--benchmark-compare=Linux*/0001", "--benchmark-compare-fail=min:5%"),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
    assert "the run to compare with was made with another node" in ran.stdout + ran.stderr


def test_words_from_a_file_count_like_those_of_the_command_line(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (tmp_path / "more.txt").write_text("--benchmark-max-time=0.1\n")
    (tmp_path / "a.txt").write_text(f"--benchmark-min-rounds=5\n@{tmp_path / 'more.txt'}\n")
    config = SimpleNamespace(
        getini=lambda name: [],
        invocation_params=SimpleNamespace(args=[f"@{tmp_path / 'a.txt'}", "tests/perf"]),
    )
    assert other_plugins.words_given(config) == [
        *("--benchmark-min-rounds=5", "--benchmark-max-time=0.1", "tests/perf"),
    ]
