"""Two commits are measured in turn, in folders of their own, until every cell is decided."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploybench import processes
from deploybench.cli import compare_commits
from deploybench.cli._worktrees import checked_out
from deploybench.errors import BackendFailed, UsageError
from deploybench.records import store
from tests.unit.saved_runs import save

NOBODY = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
BASE_SECONDS = 0.010


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository with two commits, and the current folder."""
    folder = tmp_path / "a repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for content in ("one", "two"):
        (folder / "nets.py").write_text(content)
        git(folder, "add", ".")
        git(folder, *NOBODY, "commit", "--quiet", "--message", content)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """Stands for bench: saves a run for its side; notes what it was asked.

    `factor` says how much slower the second commit is for each model; `code` is the exit code.
    `breaks` is the content of the commit of which no case runs, from call `breaks_from` on.
    """

    class Bench:
        def __init__(self):
            self.calls: list[tuple[str, list[str], Path, Path]] = []
            self.code = 0
            self.output = "[1/2] net eager\n"
            self.factor = {"resnet18": 1.5}
            self.breaks: str | None = None
            self.breaks_from = 0
            self.paths: list[str] = []
            self.deadlines: set[float] = set()

        def __call__(self, command, deadline, environment, folder, source):
            number = len(self.calls)
            words = command[command.index("bench") + 1 :]
            (named,) = {*folder.glob("nets.py"), *folder.glob("../nets.py")}
            side = named.read_text()
            self.calls.append((side, words, folder, source))
            self.paths.append(environment["PYTHONPATH"])
            self.deadlines.add(deadline)
            name = words[words.index("--save") + 1]
            (storage,) = (word.partition("file://")[2] for word in words if "storage" in word)
            if side == self.breaks and number >= self.breaks_from:
                failed = "FAILED test[net-eager] - it answers NaN\n"
                return subprocess.CompletedProcess(command, 1, failed, "")
            if self.code in (0, 1):
                cases = {}
                for model, factor in self.factor.items():
                    if "-k" not in words or model in words[words.index("-k") + 1]:
                        latency = BASE_SECONDS * (factor if side == "two" else 1.0)
                        noise = number * 7 % 5 * (0.2 if model == "noisy" else 0.001)
                        cases[model, "eager"] = [latency * (1 + noise) + 1e-9 * number] * 5
                save(Path(storage) / "machine" / f"{number:04}_{name}.json", cases)
            return subprocess.CompletedProcess(command, self.code, self.output, "no such backend\n")

    monkeypatch.setattr(processes, "run", stands_for := Bench())
    return stands_for


def run(*words: str) -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    compare_commits.add_arguments(parser)
    return compare_commits.main(compare_commits.parse(parser, list(words)))


def test_it_stops_as_soon_as_every_cell_is_decided_and_gives_the_exit_code_of_gate(
    repository, bench, capsys
):
    assert run("HEAD~1", "HEAD") == 1
    assert [side for side, *_ in bench.calls] == ["one", "two", "two", "one", "one", "two"]
    assert "slower" in capsys.readouterr().out
    assert run("HEAD", "HEAD~1") == 0


def test_each_side_runs_in_its_own_folder_and_both_are_removed(repository, bench):
    run("HEAD~1", "HEAD", "--backends", "eager", "--device=cpu")
    _, words, folder, source = bench.calls[0]
    assert words[-3:] == ["--backends", "eager", "--device=cpu"]
    assert source == processes.ROOT
    assert not folder.exists()
    assert git(repository, "worktree", "list").count("\n") == 0
    assert (repository / ".benchmarks").is_dir()


def test_a_checkout_of_deploybench_runs_the_deploybench_of_each_commit(repository, bench):
    (repository / "deploybench").mkdir()
    (repository / "deploybench" / "__init__.py").touch()
    git(repository, "add", ".")
    git(repository, *NOBODY, "commit", "--quiet", "--message", "three")
    bench.factor = {}
    with pytest.raises(Exception, match="no measurement"):
        run("HEAD~1", "HEAD", "--time-limit=1s")
    sources = {folder.name: source for _, _, folder, source in bench.calls}
    assert sources["base"] == processes.ROOT
    assert sources["head"] == bench.calls[1][2]


def test_only_undecided_models_are_measured_after_a_look(repository, bench):
    bench.factor = {"resnet18": 1.5, "noisy": 1.0}
    run("HEAD~1", "HEAD")
    assert len(bench.calls) == 40
    assert all("-k" not in words for _, words, *_ in bench.calls[:6])
    assert all(words[-2:] == ["-k", "noisy"] for _, words, *_ in bench.calls[6:])


def test_the_time_limit_ends_it_after_a_whole_pair(repository, bench, capsys):
    assert run("HEAD~1", "HEAD", "--time-limit", "0.001s") == 5
    assert len(bench.calls) == 2
    printed = capsys.readouterr()
    assert "the time limit of 0.001 s ends after 1 pair" in printed.err
    assert "inconclusive" in printed.out


def test_a_side_that_cannot_be_measured_is_named_with_the_reason(repository, bench):
    bench.code = 4
    with pytest.raises(BackendFailed, match=r"^base \(\w{10}\) could not .* 4: no such backend$"):
        run("HEAD~1", "HEAD")
    assert git(repository, "worktree", "list").count("\n") == 0
    bench.output = "[1/2] net eager failed\nFAILED test[net-eager] - it answers NaN\n1 failed\n"
    with pytest.raises(BackendFailed, match=r"4: FAILED test\[net-eager\] - it answers NaN$"):
        run("HEAD~1", "HEAD")


@pytest.mark.parametrize("given", ["HEAD~9", "--all=", "nobody", "-x"])
def test_an_unknown_revision_is_named(repository, given):
    with (
        pytest.raises(UsageError, match=f"^'{given}' is not a commit of this repository"),
        checked_out(repository, given, "HEAD"),
    ):
        pass


def test_two_names_of_one_commit_are_refused(repository):
    with (
        pytest.raises(UsageError, match=r"^HEAD and HEAD~0 are the same commit"),
        checked_out(repository, "HEAD", "HEAD~0"),
    ):
        pass


def test_a_folder_without_a_repository_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="not a git repository"), checked_out(tmp_path, "a", "b"):
        pass


@pytest.mark.parametrize(
    ("given", "expected"), [("90", 90.0), ("90s", 90.0), ("1.5m", 90.0), ("2h", 7200.0)]
)
def test_a_time_limit_is_a_time_with_or_without_a_unit(given, expected):
    assert compare_commits.seconds(given) == expected


@pytest.mark.parametrize("given", ["", "0", "-1", "soon", "1d", "nan", "1e3"])
def test_what_is_no_time_is_refused(given):
    with pytest.raises(UsageError, match="is not a time; use for example 90s, 30m or 2h"):
        compare_commits.seconds(given)


@pytest.mark.parametrize("word", ["--benchmark-json=x.json", "--save", "--benchmark-save=x"])
def test_where_the_runs_are_saved_cannot_be_given_to_bench(repository, bench, word):
    with pytest.raises(UsageError, match="--storage says where"):
        run("HEAD~1", "HEAD", word)
    assert not bench.calls


NET = """
from torch import nn

def net():
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 4)
    return nn.Sequential(nn.Conv2d(3, CHANNELS, 3), *head)
"""


@pytest.mark.sweep
def test_a_pair_of_real_runs_measures_the_model_of_each_commit(repository):
    for channels in ("8", "16"):
        (repository / "nets.py").write_text(NET.replace("CHANNELS", channels))
        git(repository, *NOBODY, "commit", "--quiet", "--all", "--message", channels)
    options = ["--models=nets.py:net", "--input=3x32x32", "--backends=eager,scripted"]
    command = [sys.executable, "-m", "deploybench", "compare-commits", "HEAD~1", "HEAD"]
    done = subprocess.run(
        [*command, *options, "--benchmark-max-time=0.01", "--time-limit=1s"],
        env=processes.importing(os.environ),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "2 cells: 2 inconclusive" in done.stdout
    float_bytes = 4
    for side, channels in (("base", 8), ("head", 16)):
        (path,) = (repository / ".benchmarks").rglob(f"*_{side}-*.json")
        (saved,) = store.load([str(path)])
        parameters = channels * (3 * 9 + 1) + (channels + 1) * 4
        assert {case.weight_bytes for case in saved.cases} == {parameters * float_bytes}


def test_modules_of_a_commit_come_before_those_that_are_installed(repository, bench, monkeypatch):
    (repository / "src").mkdir()
    (repository / "src" / "nets.py").touch()
    git(repository, "add", ".")
    git(repository, *NOBODY, "commit", "--quiet", "--message", "src")
    elsewhere = str(repository.parent / "elsewhere")
    mine = os.pathsep.join([str(repository / "lib"), elsewhere])
    monkeypatch.setenv("PYTHONPATH", mine)
    bench.breaks = "one"
    with pytest.raises(BackendFailed):
        run("HEAD~2", "HEAD")
    bench.breaks = None
    run("HEAD~1", "HEAD", "--time-limit=1s")
    head = next(call[2] for call in bench.calls if call[2].name == "head")
    path = next(path for path in bench.paths if str(head) in path)
    assert path.split(os.pathsep) == [*map(str, (head, head / "src", head / "lib")), elsewhere]


def test_it_runs_in_the_folder_of_each_commit_that_it_is_started_in(repository, bench, monkeypatch):
    (repository / "services").mkdir()
    (repository / "services" / "more.py").touch()
    monkeypatch.chdir(repository / "services")
    with pytest.raises(UsageError, match=r"^base \(\w{10}\) has no folder services/; start where"):
        run("HEAD~1", "HEAD")
    for content in "34":
        (repository / "services" / "more.py").write_text(content)
        git(repository, "add", ".")
        git(repository, *NOBODY, "commit", "--quiet", "--message", content)
    bench.factor = {"resnet18": 1.0}
    run("HEAD~1", "HEAD")
    assert {folder.parts[-2:] for _, _, folder, _ in bench.calls} == {
        ("base", "services"),
        ("head", "services"),
    }


def test_a_head_of_which_nothing_runs_is_a_failure_and_no_wrong_use(repository, bench, capsys):
    bench.breaks = "two"
    written = repository / "summary.md"
    words = ("HEAD~1", "HEAD", "--format=markdown", "--output", str(written))
    assert run(*words) == 4
    said = r"head \(\w{10}\) could not be measured, exit code 1: FAILED test\[net-eager\] - it"
    assert re.match(said, written.read_text())
    assert re.search(said, " ".join(capsys.readouterr().err.split()))


def test_a_side_that_fails_later_ends_it_with_what_there_is(repository, bench, capsys):
    bench.breaks, bench.breaks_from = "two", 6
    bench.factor = {"resnet18": 1.0, "noisy": 1.0}
    assert run("HEAD~1", "HEAD") in (0, 5)
    printed = capsys.readouterr()
    assert "pair 4 ends it: head (" in printed.err
    assert "resnet18" in printed.out or "noisy" in printed.out


def test_a_short_time_limit_does_not_end_the_first_pair(repository, bench):
    run("HEAD~1", "HEAD", "--time-limit=1s")
    assert min(bench.deadlines) >= 3600


def test_models_that_pytest_writes_in_another_way_are_measured_with_all(repository):
    assert compare_commits._selecting(["größe"]) == []
    assert compare_commits._selecting(["a", "b.c"]) == ["-k", "a or b.c"]
