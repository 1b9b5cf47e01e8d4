"""tools/gate.py as CI calls it: exit codes, formats, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deploybench.analysis import tolerance
from deploybench.errors import FileError, UsageError
from tests.unit import saved_runs

ROOT = Path(__file__).resolve().parents[3]
MODELS = ("resnet18", "vgg11")
STEADY = (0.1, 0.1002, 0.0998)


def gate(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "gate.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def save(tmp_path):
    """A function that saves a set of runs, one a process, and gives their paths."""

    def save(name, factor=1.0, models=MODELS, **fingerprint):
        return [
            saved_runs.save(
                tmp_path / f"{name}{number}.json",
                {(model, "eager"): [factor * seconds] for model in models},
                **fingerprint,
            )
            for number, seconds in enumerate(STEADY)
        ]

    return save


def judge(baseline, candidate, *options):
    return gate("--baseline", *baseline, "--candidate", *candidate, *options)


def test_nothing_slower_is_0(save):
    ran = judge(save("b"), save("c", 1.0001))
    assert (ran.returncode, ran.stdout) == (0, "2 cells: 2 same\n")


def test_something_slower_is_1_and_is_shown(save):
    ran = judge(save("b"), save("c", 1.2))
    assert ran.returncode == 1
    assert "+20.0% [" in ran.stdout
    assert ran.stdout.endswith("2 cells: 2 slower\n")
    assert judge(save("b"), save("c", 1.2), "--tolerance", "25%").returncode == 0


def test_not_comparable_is_3_and_says_what_differs(save):
    ran = judge(save("b"), save("c", threads=4))
    assert ran.returncode == 3
    assert "not comparable, since these differ: threads: 2 -> 4" in ran.stdout


def give_packages(paths, **versions):
    """Have the first model of each run say that it ran on these."""
    for path in paths:
        run = json.loads(path.read_text())
        run["benchmarks"][0]["extra_info"]["packages"] = versions
        path.write_text(json.dumps(run))
    return paths


def test_a_package_that_only_one_side_ran_on_does_not_separate_them(save):
    ran = judge(save("b"), give_packages(save("c"), openvino="2026.4.1"))
    assert (ran.returncode, ran.stdout) == (0, "2 cells: 2 same\n")


def test_two_versions_of_what_both_ran_on_are_not_comparable(save):
    old, new = (
        give_packages(save(side, factor), openvino=version)
        for side, factor, version in (("b", 1.0, "2026.4.1"), ("c", 1.0001, "2027.0.0"))
    )
    ran = judge(old, new)
    assert ran.returncode == 3
    assert "since these differ: openvino: '2026.4.1' -> '2027.0.0'" in ran.stdout
    assert judge(old, give_packages(new, openvino="2026.4.1")).returncode == 0


def test_nothing_that_could_be_decided_is_5_and_one_decided_cell_is_enough(save):
    alone = [save(f"{side}1", factor, MODELS[1:])[:1] for side, factor in (("b", 1), ("c", 1.01))]
    assert judge(*alone).returncode == 5
    decided = [save(side, factor, MODELS[:1]) for side, factor in (("b", 1), ("c", 1.0001))]
    ran = judge(*(first + second for first, second in zip(alone, decided, strict=True)))
    assert (ran.returncode, ran.stdout.endswith("1 inconclusive, 1 same\n")) == (0, True)


def test_a_missing_cell_is_4(save):
    ran = judge(save("b"), save("c", models=MODELS[:1]))
    assert ran.returncode == 4
    assert "1 missing, 1 same" in ran.stdout


def with_failure(paths, **failure):
    """Have the first run say that its second model failed."""
    run = json.loads(paths[0].read_text())
    failure = {"model": "vgg11", "column": "PyTorch", **failure}
    run["deploybench"] = {"run": "c0", "failed": [failure]}
    paths[0].write_text(json.dumps(run))
    return paths


def test_a_failed_cell_is_4_with_its_reason(save):
    candidate = with_failure(save("c", 1.0001), reason="different, before timing")
    ran = judge(save("b"), candidate)
    assert ran.returncode == 4
    assert "wrong" in ran.stdout
    assert "different, before timing" in ran.stdout


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("text", "\n2 cells: 1 {kind}, 1 same\n"),
        ("json", '"verdict": "{kind}"'),
        ("junit", '<failure message="{kind} out of memory" />'),
        ("markdown", "| {kind} | out of memory |"),
    ],
)
@pytest.mark.parametrize("kind", ["wrong", "failed"])
def test_every_format_says_whether_it_was_wrong_or_failed(save, kind, form, words):
    candidate = with_failure(save("c", 1.0001), reason="out of memory", kind=kind)
    ran = judge(save("b"), candidate, "--format", form)
    assert ran.returncode == 4
    assert words.format(kind=kind) in ran.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tolerance=-1%"], "'-1%' is not a tolerance; use for example 5% or 0.05"),
        (["--tolerance", "nan"], "'nan' is not a tolerance"),
        (["--confidence", "1"], "1.0 is not a confidence; use for example 0.95"),
        (["--tolerances", "nothing.toml"], "nothing.toml cannot be read: No such file"),
        (["--format", "yaml"], "invalid choice: 'yaml'"),
    ],
)
def test_what_cannot_be_used_is_2(save, options, words):
    ran = judge(save("b"), save("c"), *options)
    assert ran.returncode == 2
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_that_is_not_a_run_is_2(save, tmp_path):
    (tmp_path / "cut.json").write_text('{"machine_info": ')
    ran = judge(save("b"), [tmp_path / "cut.json"])
    assert ran.returncode == 2
    assert "cut.json is neither a whole saved run" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_baseline_that_is_the_candidate_is_2(save, tmp_path):
    runs = save("b")
    assert "b0.json is in both the baseline and the candidate" in judge(runs, runs[:1]).stderr
    copy = tmp_path / "copy.json"
    copy.write_bytes(runs[1].read_bytes())
    ran = judge(runs, [copy])
    assert "copy.json is in both the baseline and the candidate" in ran.stderr
    assert ran.returncode == 2


def test_json_holds_every_number_and_no_nan(save):
    ran = judge(save("b")[:1], save("c", 1.2)[:1], "--format", "json")
    report = json.loads(ran.stdout, parse_constant=pytest.fail)
    assert report["exit_code"] == ran.returncode == 5
    assert [cell["verdict"] for cell in report["cells"]] == ["inconclusive"] * 2
    assert report["cells"][0]["interval"] is None
    assert report["cells"][0]["change"] == pytest.approx(0.2)


def test_junit_fails_what_is_slower(save):
    root = ElementTree.fromstring(judge(save("b"), save("c", 1.2), "--format", "junit").stdout)
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert suite.find("testcase/failure").get("message").startswith("slower +20.0%")


def test_junit_says_which_way_a_cell_went(save):
    (suite,) = ElementTree.fromstring(judge(save("b"), save("c", 0.8), "--format=junit").stdout)
    assert suite.find("testcase/system-out").text.startswith("faster -20.0% [")


@pytest.mark.parametrize(
    ("form", "words"),
    [("text", "+49.9% [-100.0%, over +900%]"), ("json", '"interval": null')],
)
def test_two_runs_with_a_wide_spread_are_still_judged(save, form, words):
    baseline, candidate = save("b")[:2], save("c", 1.0001)[:1] + save("d", 2.25)[:1]
    ran = judge(baseline, candidate, "--confidence=0.9999", f"--format={form}")
    assert (ran.returncode, ran.stderr) == (5, "")
    assert words in ran.stdout


def test_markdown_begins_with_the_counts(save):
    lines = judge(save("b"), save("c", 1.2), "--format", "markdown").stdout.splitlines()
    assert lines[0] == "**2 cells: 2 slower**"
    assert lines[2].startswith("| Model | Backend |")
    assert lines[4].startswith("| resnet18 | PyTorch | 100.00 ms | 120.00 ms | +20.0% [")


def test_it_writes_a_file_but_never_a_run_it_reads(save, tmp_path):
    baseline, candidate = save("b"), save("c", 1.2)
    written = judge(baseline, candidate, "-o", tmp_path / "report.txt")
    assert (written.returncode, written.stdout) == (1, "")
    assert "2 slower" in (tmp_path / "report.txt").read_text()
    before = candidate[0].read_bytes()
    refused = judge(baseline, candidate, "-o", candidate[0])
    assert refused.returncode == 2
    assert "is one of the runs to be read; name another file" in refused.stderr
    assert candidate[0].read_bytes() == before


def test_the_exit_codes_are_in_the_help():
    helped = gate("--help").stdout
    assert "0 nothing slower" in helped
    assert "3 not comparable\n  4 missing, wrong or failed cells" in helped
    assert "\n  5 not one cell could be decided" in helped


def test_tolerances_by_model_and_backend(tmp_path):
    path = tmp_path / "tolerances.toml"
    path.write_text('tolerance = "2%"\n[model]\n"vgg*" = 0.1\n[backend]\ncpp = "3%"\n')
    found = tolerance.read(path)
    assert found.of("resnet18", "eager") == 0.02
    assert found.of("resnet18", "cpp") == 0.03
    assert found.of("vgg11", "cpp") == 0.1
    assert tolerance.read(path, everywhere=0.2).of("resnet18", "eager") == 0.2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tolerance = ", "is not a TOML file"),
        ("tolerances = 1", "unknown key 'tolerances'; allowed: tolerance, model, backend"),
        ('tolerance = "much"', "tolerance: 'much' is not a tolerance"),
        ("model = 3", "model is not a table"),
        ("[backend]\ncpp = 7", "backend.cpp: '7' is not a tolerance"),
    ],
)
def test_a_tolerance_file_that_is_wrong_is_named(tmp_path, text, words):
    path = tmp_path / "tolerances.toml"
    path.write_text(text)
    with pytest.raises(FileError, match=words):
        tolerance.read(path)


@pytest.mark.parametrize("given", ["100%", "1", "-0.1", "inf", "", "%"])
def test_a_tolerance_that_is_not_a_share_is_refused(given):
    with pytest.raises(UsageError):
        tolerance.parse(given)
