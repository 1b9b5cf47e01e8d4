"""What can be asked for, and what is refused before any test."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from deploybench import plugin
from deploybench.analysis import roofline_bound, table
from deploybench.records import store
from tests.unit.plugin import MODEL, ROOT


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models=resnet19"], "unknown model 'resnet19': did you mean 'resnet1"),
        (["--models=gpt*"], "gpt*"),
        (["--backends=tensorrt"], "unknown backend 'tensorrt': "),
        (["--models="], "no model in ''; allowed: names, globs, article, all, separated by commas"),
        (["--backends="], "unknown backend '': allowed: "),
        (["--batch-size=0"], "--batch-size '0' is not a positive whole number"),
        (["--batch-size=two"], "--batch-size 'two' is not"),
        (["--threads=-1"], "--threads '-1' is not"),
        (["--batch-size=1,,2"], "--batch-size '' is not a positive whole number"),
        (["--dtype=float8"], "--dtype 'float8' is unknown; allowed: float32, float16, bfloat16"),
        (["--allocator=mine"], "--allocator 'mine' is unknown; allowed: tuned, default"),
        (["--tf32=yes"], "--tf32 'yes' is unknown; allowed: on, off"),
        (["--device=gpu"], "unknown device 'gpu': allowed: auto, cpu, cuda"),
        (["--device=cuda:99"], "device 'cuda:99' does not exist"),
        (["--weights=pretraind"], "pretraind"),
    ],
)
def test_what_cannot_be_used_ends_the_run_before_any_test(run_pytest, arguments, words):
    ran = run_pytest("tests/perf", *arguments)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR == 4
    assert words in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "test session starts" not in ran.stdout


def test_ids_and_selection(run_pytest):
    ran = run_pytest("tests", "--collect-only", "-q", "--models=resnet1*,vgg11", "-k", "cpp")
    ids = [line for line in ran.stdout.splitlines() if "::" in line and "unit" not in line]
    assert ids == [
        f"tests/{test}[{model}-cpp]"
        for test in ("correctness/test_top5.py::test_top5", "perf/test_latency.py::test_latency")
        for model in ("resnet101", "resnet152", "resnet18", "vgg11")
    ]


def test_bare_pytest_runs_the_tests_and_not_the_benchmark(request):
    places = {ROOT / place for place in request.config.getini("testpaths")}
    assert places == {ROOT / "tests" / "unit", ROOT / "tests" / "correctness"}


@pytest.mark.parametrize("loaded", [(), ("-p", "deploybench.plugin")], ids=["conftest", "-p"])
def test_pytest_benchmark_is_loaded_where_pytest_loads_no_plugin_by_itself(run_pytest, loaded):
    ran = run_pytest(
        *("tests/perf", "--collect-only", "-q", *loaded, "--import-mode=importlib"),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert "93 tests collected" in ran.stdout, ran.stdout + ran.stderr


def test_the_default_is_the_article_by_three_backends(run_pytest):
    ran = run_pytest("tests/perf", "--collect-only", "-q")
    assert "93 tests collected" in ran.stdout


def test_options_are_in_one_group_of_the_help_and_in_pytest_ini(run_pytest, tmp_path):
    helped = run_pytest("--help").stdout
    group = helped.split("\ndeploybench:")[1].split("\n\n")[0]
    for option in ("models", "backends", "device", "weights", "batch-size", "threads"):
        assert f"--{option}=" in group
    assert "absent" in group, "a backend names itself in --help by being there"
    ini = tmp_path / "other.ini"
    keys = ("strict_backends", "include_copies", "channels_last", "cold_start")
    flags = "".join(f"{key} = true\n" for key in keys)
    ini.write_text(f"[pytest]\nmodels = alexnet\nbackends = eager\n{flags}keep_artifacts = ts\n")
    ran = run_pytest("-c", str(ini), f"--rootdir={ROOT}", "tests/perf", "--collect-only", "-q")
    assert "test_latency[alexnet-eager]" in ran.stdout
    assert "1 test collected" in ran.stdout
    assert "Unknown config option" not in ran.stdout + ran.stderr


@pytest.mark.slow
def test_strict_backends_fail_where_others_skip(run_pytest):
    case = f"tests/perf/test_latency.py::test_latency[{MODEL}-absent]"
    options = [case, f"--models={MODEL}", "--backends=absent"]
    assert run_pytest(*options).returncode == 0
    assert (
        "pip install gizmo (--strict-backends)" in run_pytest(*options, "--strict-backends").stdout
    )
    assert run_pytest(*options, CI="true").returncode == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow
def test_timing_under_xdist_is_refused(run_pytest):
    ran = run_pytest("tests/perf", f"--models={MODEL}", "--backends=eager", "-n1")
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in ran.stderr.splitlines() if line.startswith("ERROR"))
    assert "run it without -n" in line
    assert "error" not in ran.stdout


@pytest.mark.sweep
def test_throughput_copies_and_neighbours_are_conditions_of_their_own(run_pytest, tmp_path):
    saved = tmp_path / "run.json"
    ran = run_pytest(
        *("tests/perf", f"--models={MODEL}", "--backends=eager,cpp", "--metric=throughput"),
        *("--include-copies", "--neighbours=2", "--threads=1", "--benchmark-max-time=0"),
        f"--benchmark-json={saved}",
    )
    assert "2 passed" in ran.stdout
    run = json.loads(saved.read_text())
    about = run["machine_info"]["deploybench"]["fingerprint"]
    assert (about["metric"], about["include_copies"]) == ("throughput", True)
    assert about["neighbours"] == 2
    beside = [case["extra_info"]["neighbours_ms"] for case in run["benchmarks"]]
    assert [len(each) for each in beside] == [1, 1]
    refused = run_pytest("tests/perf", "--metric=goodput")
    assert "--metric 'goodput' is unknown; allowed: latency, throughput" in refused.stderr


@pytest.mark.slow
def test_axes_are_conditions_and_each_batch_size_a_case(run_pytest, tmp_path):
    saved = tmp_path / "run.json"
    ran = run_pytest(
        *("tests/perf", f"--models={MODEL}", "--backends=eager,cpp,openvino", "--batch-size=1,2"),
        *("--dtype=bfloat16", "--tf32=off", "--channels-last", "--strict-backends"),
        *(
            "--allocator=default",
            "--cold-start",
            "--benchmark-max-time=0",
            f"--benchmark-json={saved}",
        ),
    )
    assert "4 passed, 2 skipped" in ran.stdout
    reason = "skipped: openvino does not support bfloat16: run it with --dtype float32"
    assert ran.stdout.count(reason) == 2
    assert f"{reason}\n" in ran.stdout, "the line is whole, and pytest's percentage not behind it"
    document = json.loads(saved.read_text())
    assert [bench["params"] for bench in document["benchmarks"]] == [
        {"model": MODEL, "batch_size": size, "backend": backend}
        for size in ("1", "2")
        for backend in ("eager", "cpp")
    ]
    for bench in document["benchmarks"]:
        assert bench["extra_info"]["check"]["verdict"] != "different"
        assert bench["extra_info"]["cold_start_seconds"] > 0
        # LibTorch alone, and it and a model's weights, in bytes.
        assert 10e6 < bench["extra_info"]["cold_start_peak_bytes"] < 10e9
    about = document["machine_info"]["deploybench"]["fingerprint"]
    axes = ("batch_size", "dtype", "cudnn_tf32", "matmul_precision", "channels_last", "allocator")
    expected = ["1,2", "bfloat16", False, "highest", True, "default"]
    assert [about[axis] for axis in axes] == expected

    one, two = store.load([str(saved)])
    assert [run.fingerprint["batch_size"] for run in (one, two)] == [1, 2]
    assert [len(run.cases) for run in (one, two)] == [2, 2]
    header = table.to_rows(table.merge([one, two]))[0]
    assert header[1:3] == ["PyTorch [batch_size=1]", "PyTorch [batch_size=2]"]
    rows = roofline_bound.to_rows([one, two])
    assert [row[0] for row in rows[1:]] == [f"{MODEL} [batch_size={size}]" for size in (1, 2)]
    assert all(float(row[3].rstrip("*")) > 1 for row in rows[1:])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--keep-artifacts=/dev/null/kept"], "ERROR: '/dev/null/kept': Not a directory"),
        (
            ["--benchmark-save=run1", "--benchmark-storage=/dev/null"],
            "cannot be created: Not a directory",
        ),
    ],
    ids=["artifacts", "storage"],
)
def test_what_is_wrong_with_the_whole_run_is_one_usage_error(run_pytest, words, line):
    ran = run_pytest(
        "tests/perf", "--models=tests.unit.tiny:MODEL", "--backends=eager,scripted", *words
    )
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    (said,) = (each for each in ran.stderr.splitlines() if each.startswith("ERROR"))
    assert line in said
    assert "no tests ran" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.slow
def test_what_is_set_in_pytest_ini_takes_effect(run_pytest, tmp_path):
    ini, kept = tmp_path / "other.ini", tmp_path / "kept"
    ini.write_text(f"[pytest]\nchannels_last = true\nkeep_artifacts = {kept}\n")
    saved = tmp_path / "run.json"
    run_pytest(
        *("-c", str(ini), f"--rootdir={ROOT}", "tests/perf", f"--models={MODEL}", "--backends=cpp"),
        *("--benchmark-max-time=0", f"--benchmark-json={saved}"),
    )
    about = json.loads(saved.read_text())["machine_info"]["deploybench"]
    assert about["fingerprint"]["channels_last"] is True
    assert list(kept.iterdir())


@pytest.mark.slow
def test_only_benchmarks_and_no_benchmarks_are_as_pytest_benchmark_has_them(run_pytest):
    given = ("tests/perf", f"--models={MODEL}", "--backends=eager", "--benchmark-max-time=0")
    assert "1 passed" in run_pytest(*given, "--benchmark-only").stdout
    assert "1 skipped" in run_pytest(*given, "--benchmark-skip").stdout


def test_an_empty_folder_name_is_refused(run_pytest):
    refused = run_pytest("tests/perf", "--keep-artifacts=")
    assert "--keep-artifacts '' is not a folder; give the name of one" in refused.stderr


def test_a_path_that_may_not_be_looked_at_is_one_usage_error(monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied", "/closed/m.pth")

    monkeypatch.setattr(plugin, "require_loadable", lambda _: None)
    monkeypatch.setattr(plugin, "read_options", refuse)
    config = SimpleNamespace(stash={plugin.CONFLICTS: lambda: None}, option=SimpleNamespace())
    with pytest.raises(pytest.UsageError, match=r"'/closed/m\.pth': Permission denied"):
        plugin.pytest_configure(config)
