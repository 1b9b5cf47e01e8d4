"""The action and the workflows for GitHub, as far as they can be run without it.

The shell parts run with programs in the place of `deploybench` and `gh` that write down how they
were called. That GitHub accepts the files was checked with its schemas; a job was never run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in sorted((ROOT / "examples" / "github").glob("*.yml"))
}
# By a shell, because a #! line takes no interpreter whose path has a space.
START = '#!/bin/sh\nexec "{python}" "{program}.py" "$@"\n'
PROGRAM = """\
import json, os, sys
with open({log!r}, "a") as log:
    print(json.dumps([{name!r}, *sys.argv[1:]]), file=log)
if "--output" in sys.argv:
    with open(sys.argv[sys.argv.index("--output") + 1], "w") as file:
        file.write("**2 cells: 1 slower**")
for word, answer in json.loads(os.environ["ANSWERS"]).items():
    if any(word in given for given in sys.argv):
        print(answer)
sys.exit(int(os.environ.get("CODE_OF_" + {name!r}.upper(), 0)))
"""


class Shell:
    """Runs the shell parts of a file in a folder, and knows how programs were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "calls.jsonl"
        (folder / "bin").mkdir()
        for name in ("deploybench", "gh"):
            program = folder / "bin" / name
            program.write_text(START.format(python=sys.executable, program=program))
            program.chmod(0o755)
            text = PROGRAM.format(log=str(self._log), name=name)
            program.with_name(f"{name}.py").write_text(text)

    def run(self, script: str, answers: dict[str, str] | None = None, **environment: str) -> int:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            env={
                "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "GITHUB_OUTPUT": str(self.folder / "output"),
                "GITHUB_STEP_SUMMARY": str(self.folder / "step-summary"),
                "ANSWERS": json.dumps(answers or {}),
                **environment,
            },
            check=False,
        )
        return done.returncode

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def shell(tmp_path) -> Shell:
    return Shell(tmp_path)


def action_step(name: str) -> str:
    (step,) = (step for step in ACTION["runs"]["steps"] if step.get("id") == name)
    return step["run"]


GIVEN = {
    "BASE": "abc",
    "HEAD": "def",
    "OPTIONS": "--models nets.py\n--backends eager,cpp\n",
    "TIME_LIMIT": "5m",
    "TOLERANCE": "3%",
    "FOLDER": "out",
}


@pytest.mark.parametrize("code", [0, 1, 4, 5])
def test_the_action_compares_and_hands_on_exit_code_and_summary(shell, code):
    assert shell.run(action_step("compare"), CODE_OF_DEPLOYBENCH=str(code), **GIVEN) == 0
    (call,) = shell.calls()
    assert call[:4] == ["deploybench", "compare-commits", "abc", "def"]
    assert call[-4:] == ["--models", "nets.py", "--backends", "eager,cpp"]
    assert (shell.folder / "output").read_text() == f"base=abc\nexit-code={code}\n"
    assert "1 slower" in (shell.folder / "step-summary").read_text()


def test_what_the_base_branch_gained_is_not_of_the_change(shell):
    def git(*words: str) -> str:
        nobody = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
        command = ["git", "-C", shell.folder, *nobody, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    commit = ("commit", "--quiet", "--allow-empty", "--message")
    git("init", "--quiet", "--initial-branch=main")
    git(*commit, "start")
    start = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "change")
    git(*commit, "change")
    git("checkout", "--quiet", "main")
    git(*commit, "main")
    given = {**GIVEN, "BASE": "main", "HEAD": "change"}
    assert shell.run(action_step("compare"), **given) == 0
    assert shell.run(action_step("page"), **{**given, "BASE": start}) == 0
    compared, shown = shell.calls()
    assert compared[2:4] == [start, "change"]
    assert shown[2:5] == [
        f"head-{git('rev-parse', 'change')[:10]}",
        "--baseline",
        f"base-{start[:10]}",
    ]


def test_a_summary_of_an_earlier_run_is_not_taken_for_this_one(shell):
    (shell.folder / "out").mkdir()
    (shell.folder / "out" / "summary.md").write_text("nothing slower")
    program = shell.folder / "bin" / "deploybench.py"
    program.write_text("raise SystemExit(2)")
    assert shell.run(action_step("compare"), **GIVEN) == 0
    assert not (shell.folder / "step-summary").exists()


def test_options_are_words_and_never_commands(shell):
    hostile = {**GIVEN, "OPTIONS": "--models $(touch stolen) ; touch stolen", "BASE": "$(id)"}
    assert shell.run(action_step("compare"), **hostile) == 0
    assert not (shell.folder / "stolen").exists()
    (call,) = shell.calls()
    assert call[2] == "$(id)"
    assert call[-5:] == ["$(touch", "stolen)", ";", "touch", "stolen"]


def test_the_action_knows_no_option_that_the_command_does_not_have(shell):
    from deploybench.cli._parsers import subcommand_parser
    from deploybench.cli._subcommands import subcommands

    shell.run(action_step("compare"), **GIVEN)
    shell.run(action_step("page"), **GIVEN)
    for _, name, *words in shell.calls():
        subcommand = subcommands()[name]
        parser = subcommand_parser(subcommand)
        parse = getattr(subcommand, "parse", type(parser).parse_args)
        passed = getattr(parse(parser, words), "passed", [])
        assert passed == (GIVEN["OPTIONS"].split() if name == "compare-commits" else [])


def test_no_expression_stands_inside_a_script():
    steps = [*ACTION["runs"]["steps"]]
    for workflow in WORKFLOWS.values():
        steps += [step for job in workflow["jobs"].values() for step in job["steps"]]
    scripts = [step["run"] for step in steps if "run" in step]
    assert len(scripts) >= 5
    assert not [script for script in scripts if "${{" in script]


def test_only_the_workflow_that_runs_nothing_of_the_pull_request_may_write():
    assert WORKFLOWS["compare"]["permissions"] == {"contents": "read"}
    writing = WORKFLOWS["comment"]
    assert writing["permissions"] == {"actions": "read", "pull-requests": "write"}
    uses = [step.get("uses", "") for step in writing["jobs"]["comment"]["steps"]]
    assert not [each for each in uses if "checkout" in each]
    # In YAML 1.1, `on` is a Boolean.
    assert writing[True]["workflow_run"]["workflows"] == [WORKFLOWS["compare"]["name"]]


COMMENTING = {"REPOSITORY": "o/r", "SOURCE": "fork:branch", "RUN_URL": "https://run.example"}


@pytest.fixture
def comment(shell):
    """A function that runs the step that comments, with what GitHub would answer."""
    (shell.folder / "summary.md").write_text("**2 cells**\n" + "x" * 70_000)
    (step,) = (step for step in WORKFLOWS["comment"]["jobs"]["comment"]["steps"] if "run" in step)

    def run(**answers: str) -> list[list[str]]:
        assert shell.run(step["run"], answers, **COMMENTING) == 0
        return shell.calls()

    return run


def test_the_first_comment_is_written(comment, shell):
    calls = comment(**{"/pulls": "7"})
    assert calls[-1][1:5] == ["api", "--method", "POST", "repos/o/r/issues/7/comments"]
    body = (shell.folder / "body.md").read_text()
    assert body.startswith("<!-- deploybench -->\n**2 cells**")
    assert len(body) <= 65_536
    assert "https://run.example" in body


def test_a_later_one_updates_it_in_place(comment):
    calls = comment(**{"/pulls": "7", "/comments": "42"})
    assert calls[-1][1:5] == ["api", "--method", "PATCH", "repos/o/r/issues/comments/42"]
    assert not [call for call in calls if "POST" in call]


def test_without_an_open_pull_request_nothing_is_written(comment):
    assert len(comment()) == 1


def test_without_a_summary_the_comment_of_an_earlier_push_does_not_stay(comment, shell):
    (shell.folder / "summary.md").unlink()
    calls = comment(**{"/pulls": "7", "/comments": "42"})
    assert "PATCH" in calls[-1]
    body = (shell.folder / "body.md").read_text()
    assert "The commits could not be compared; the run says why." in body
