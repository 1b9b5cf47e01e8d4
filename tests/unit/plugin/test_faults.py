"""Backends that are wrong, break or are missing."""

from __future__ import annotations

import json
import pkgutil
import re
import shlex
from xml.etree import ElementTree

import pytest

from deploybench import backends
from tests.unit.plugin import MODEL


def test_a_run_with_faults_fails_and_keeps_what_was_right(saved):
    ran, run = saved
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    assert "3 failed, 3 passed, 1 skipped" in ran.stdout
    assert [bench["params"]["backend"] for bench in run["benchmarks"]] == [
        "eager",
        "scripted",
        "cpp",
    ]


@pytest.mark.parametrize(
    "words",
    [
        "different, before timing: ",
        "different in a timed call: place 1 of input",
        f"{MODEL} through broken: RuntimeError: kernel panic in layer 3",
        "absent needs gizmo, which is not installed: pip install gizmo",
    ],
)
def test_each_fault_is_reported_in_one_line_without_a_traceback(saved, words):
    ran, _ = saved
    assert any(words in line for line in ran.stdout.splitlines())
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "backtrace" not in ran.stdout + ran.stderr


def test_a_wrong_answer_comes_with_the_line_that_repeats_it(saved, run_pytest):
    ran, _ = saved
    (line,) = (
        line for line in ran.stdout.splitlines() if f"[{MODEL}-wrong]" in line and "again" in line
    )
    program, *arguments = shlex.split(line.removeprefix("again: python -m "))
    assert program == "pytest"
    assert "--weights random --device auto --batch-size 1" in line
    again = run_pytest(*arguments)
    assert "1 failed" in again.stdout
    assert line in again.stdout


def test_each_case_has_a_line_of_progress(saved):
    ran, _ = saved
    lines = [line for line in ran.stdout.splitlines() if line.startswith("[")]
    assert [line.split()[0] for line in lines] == [f"[{n}/7]" for n in range(1, 8)]
    assert f"{MODEL}  eager" in lines[0]
    assert " ms   20 rounds, exact" in lines[0]
    assert lines[1].endswith("failed")
    assert "skipped: absent needs gizmo" in lines[5]


@pytest.mark.slow
def test_after_the_cpp_process_died_the_next_case_gets_a_fresh_one(run_pytest, tmp_path):
    (tmp_path / "kill.py").write_text(
        "import os, signal\n"
        "from deploybench.backends._cpp_process import CppSession\n"
        "timed, sessions = CppSession.timed, []\n"
        "def fatal(session, count, include_copies=False):\n"
        "    sessions.append(session)\n"
        "    if len(sessions) == 3:\n"
        "        os.kill(session._runner.pid, signal.SIGSEGV)\n"
        "    return timed(session, count, include_copies)\n"
        "CppSession.timed = fatal\n"
    )
    ran = run_pytest(
        *("tests/perf", "-p", "kill", f"--models={MODEL},squeezenet1_1", "--backends=eager,cpp"),
        *("--benchmark-max-time=0", f"--benchmark-json={tmp_path / 'run.json'}"),
    )
    assert "1 failed, 3 passed" in ran.stdout
    assert "the C++ process was ended by SIGSEGV during 'time'; its last words: none" in ran.stdout
    saved = json.loads((tmp_path / "run.json").read_text())["benchmarks"]
    assert [tuple(bench["params"].values()) for bench in saved] == [
        (MODEL, "eager"),
        ("squeezenet1_1", "eager"),
        ("squeezenet1_1", "cpp"),
    ]


@pytest.mark.slow
def test_what_runs_out_of_memory_fails_alone(run_pytest):
    ran = run_pytest(
        *("tests/perf", f"--models={MODEL}", "--backends=hungry,eager", "--batch-size=1,2"),
        "--benchmark-max-time=0",
    )
    assert "1 failed, 3 passed" in ran.stdout
    assert f"{MODEL} through hungry: OutOfMemoryError: no room for 2" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


def test_the_correctness_gate_says_no(run_pytest, tmp_path):
    report = tmp_path / "report.xml"
    ran = run_pytest(
        "tests/correctness",
        f"--models={MODEL}",
        "--backends=eager,wrong",
        f"--junitxml={report}",
    )
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 passed" in ran.stdout
    assert 'name="verdict: batch size 1" value="different"' in report.read_text()
    assert 'name="verdict: batch size 1" value="exact"' in report.read_text()


@pytest.mark.sweep
def test_under_xdist_a_model_stays_on_one_worker_and_the_verdicts_are_the_same(
    run_pytest, tmp_path
):
    models = f"{MODEL},squeezenet1_1"
    verdicts = {}
    for workers in ("0", "2"):
        report = tmp_path / f"{workers}.xml"
        ran = run_pytest(
            "tests/correctness",
            "-v",
            f"-n{workers}",
            f"--models={models}",
            "--backends=eager,scripted,wrong",
            "--threads=1",
            f"--junitxml={report}",
        )
        assert "2 failed, 4 passed" in ran.stdout
        cases = ElementTree.parse(report).iter("testcase")
        verdicts[workers] = {
            case.get("name"): [
                (each.get("name"), each.get("value")) for each in case.iter("property")
            ]
            for case in cases
        }
    assert verdicts["0"] == verdicts["2"]
    placed = re.findall(r"\[(gw\d)\].*test_top5\[(\w+)-", ran.stdout)
    assert len(placed) == 6
    assert len(set(placed)) == len({model for _, model in placed}) == 2


def test_the_faults_are_in_the_processes_that_ask_for_them_alone():
    assert not {"wrong", "tiring", "broken", "absent", "hungry"} & {
        entry.name for entry in pkgutil.iter_modules(backends.__path__)
    }
