"""Reading saved runs and logs: what is taken, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploybench.errors import FileError
from deploybench.records import reading
from deploybench.records.record import RunRecord

from ..saved_runs import document, save


def test_a_saved_run_keeps_every_sample(tmp_path):
    path = save(tmp_path / "run.json", {("alexnet", "cpp"): [0.003, 0.001, 0.002]}, threads=4)
    run = reading.read(path)
    (case,) = run.cases
    assert (case.model, case.column, case.column_order) == ("alexnet", "TorchScript (C++)", 20)
    assert case.samples_seconds == (0.003, 0.001, 0.002)
    assert case.samples_ms == pytest.approx((3.0, 1.0, 2.0))
    assert case.latency_ms == pytest.approx(2.0)
    assert case.backend == "cpp"
    assert run.fingerprint["threads"] == 4


def test_a_benchmark_of_another_test_is_passed_over_and_one_of_ours_is_not():
    run = document({("alexnet", "cpp"): [0.003]})
    other = {"name": "test_own", "params": None, "extra_info": {}, "stats": {"data": [1.0]}}
    run["benchmarks"].insert(0, other)
    assert [case.model for case in RunRecord.from_json(run, Path("run")).cases] == ["alexnet"]
    run["benchmarks"].insert(0, {**other, "params": {"model": "alexnet"}})
    with pytest.raises(FileError, match="benchmark 1"):
        RunRecord.from_json(run, Path("run"))


def test_a_log_is_read_as_the_article_reads_it(tmp_path):
    path = tmp_path / "bench.log"
    path.write_text(
        "Start\n#head;TorchScript (C++)\nModel: 3 ms\n#./ts/a.b.ts;1.5\n#vgg11;2\n#vgg11; 2.25 ;x\n"
        "# a remark\n"
    )
    run = reading.read(path)
    assert run.fingerprint is None
    assert [(case.model, case.column, case.latency_ms) for case in run.cases] == [
        ("a", "TorchScript (C++)", 1.5),
        ("vgg11", "TorchScript (C++)", 2.25),
    ]


def test_a_log_may_hold_text_in_any_encoding(tmp_path):
    path = tmp_path / "bench.log"
    path.write_bytes(b"  caf\xe9 4.64%\n#head;PyTorch\n#alexnet;1.5\n")
    assert [case.latency_ms for case in reading.read(path).cases] == [1.5]


def test_the_order_of_a_fingerprint_makes_no_difference():
    one, two = ({"threads": 2, "gpu": None}, {"gpu": None, "threads": 2})
    conditions = {RunRecord(Path("run"), each, ()).condition for each in (one, two)}
    assert len(conditions) == 1


def of_a_run(run, **own):
    run["machine_info"]["deploybench"]["format"] = 2
    run["deploybench"] = {"run": "r", **own}


def spoilt(change) -> str:
    run = document({("alexnet", "eager"): [0.001], ("alexnet", "cpp"): [0.001]})
    change(run)
    return json.dumps(run)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (spoilt(lambda run: None)[:-30], "neither a whole saved run"),
        ("", "neither a whole saved run"),
        ("Model resnet18: 3 ms\n#resnet18;3\n", "nor a log"),
        ("[]", "is not a run of deploybench"),
        ("17", "is not a run of deploybench"),
        (
            '{"machine_info": {}, "benchmarks": []}',
            "is not a run of deploybench (no machine_info.deploybench)",
        ),
        (spoilt(lambda run: run.update(benchmarks=[])), "contains no measurement"),
        (
            spoilt(lambda run: run["machine_info"]["deploybench"].update(format=7, version="9.1")),
            "has format 7, but this version reads 1 to 3; read it with deploybench 9.1",
        ),
        (
            spoilt(lambda run: run["machine_info"].update(deploybench={"format": 4})),
            "has format 4, but this version reads 1 to 3",
        ),
        (
            spoilt(lambda run: run["machine_info"]["deploybench"].update(fingerprint=7)),
            "has machine_info.deploybench.fingerprint 7, which is not an object",
        ),
        (
            spoilt(lambda run: run["machine_info"]["deploybench"]["fingerprint"].update(cpu=[])),
            "has machine_info.deploybench.fingerprint.cpu [], which is not text, a finite number",
        ),
        (
            spoilt(lambda run: run.update(benchmarks={"a": 1})),
            "has benchmarks {'a': 1}, which is not a list",
        ),
        (
            spoilt(lambda run: run["benchmarks"].append(run["benchmarks"][0])),
            "has alexnet in PyTorch twice",
        ),
        (
            spoilt(lambda run: run["benchmarks"][0].pop("params")),
            "is not a run of deploybench (no ",
        ),
        (spoilt(lambda run: run["benchmarks"].append("x")), "is not a run of deploybench (no "),
        (spoilt(lambda run: run["benchmarks"][0]["stats"].pop("data")), "(no stats.data)"),
        (spoilt(lambda run: run["benchmarks"][0]["stats"].update(data=[])), "has no samples"),
        *[
            (
                spoilt(lambda run, bad=bad: run["benchmarks"][1]["stats"].update(data=[1, bad])),
                words,
            )
            for bad, words in [
                (
                    0.0,
                    "benchmark 2: alexnet in TorchScript (C++) has stats.data[1] 0.0, which is",
                ),
                (-1.0, "has stats.data[1] -1.0, which is not a time"),
                (float("nan"), "has stats.data[1] nan, which is not a time"),
                (float("inf"), "has stats.data[1] inf, which is not a time"),
                (10**400, "which is not a time"),
                (True, "has stats.data[1] True, which is not a time"),
                ("0.1", "has stats.data[1] '0.1', which is not a time"),
            ]
        ],
        (spoilt(lambda run: None).replace("0.001", "9" * 5000), "neither a whole saved run"),
        (
            spoilt(lambda run: run["benchmarks"][0]["params"].update(model="a;b")),
            "has params.model 'a;b', which is not a name",
        ),
        (
            spoilt(lambda run: run["benchmarks"][0]["extra_info"].update(column="a\nb")),
            "has extra_info.column 'a\\nb', which is not a name",
        ),
        (
            spoilt(lambda run: run["benchmarks"][0]["extra_info"].update(column_order="0")),
            "has extra_info.column_order '0', which is not a whole number",
        ),
        *[
            (
                spoilt(lambda run, bad=bad: run["benchmarks"][0]["extra_info"].update(turns=bad)),
                words,
            )
            for bad, words in [
                ("22", "has turns '22', which is not a list"),
                ([99], "has turns that do not add up to its 1 sample"),
                ([], "has turns that do not add up to its 1 sample"),
                ([0, 1], "has turns[0] 0, which is not a positive whole number"),
                ([True], "has turns[0] True, which is not a positive whole number"),
                ([1.0], "has turns[0] 1.0, which is not a positive whole number"),
                ({}, "has turns {}, which is not a list"),
                (7, "has turns 7, which is not a list"),
            ]
        ],
        *[
            (
                spoilt(
                    lambda run, bad=bad: run["benchmarks"][0]["extra_info"].update(packages=bad)
                ),
                words,
            )
            for bad, words in [
                (None, "has packages None, which is not an object"),
                (["openvino"], "has packages ['openvino'], which is not an object"),
                ({"openvino": 2026}, "has packages.openvino 2026, which is not text"),
            ]
        ],
        *[
            (
                spoilt(lambda run, bad=bad: run["benchmarks"][0]["extra_info"].update(bad)),
                f"has batch_size {bad['batch_size']!r}, which is not a positive whole number",
            )
            for bad in ({"batch_size": [1]}, {"batch_size": 1.5}, {"batch_size": True})
        ],
        (
            spoilt(lambda run: of_a_run(run, peak={"flops_per_second": 10**400})),
            "has peak.flops_per_second 1000",
        ),
        ("#head;PyTorch\n#alexnet;fast\n", "'#alexnet;fast' has no figure"),
        ("#head;PyTorch\n#alexnet;nan\n", "has nan ms, which is not a time"),
        ("#head;PyTorch\n#alexnet;0\n", "has 0 ms, which is not a time"),
        ("#head;PyTorch\n#alexnet;1e300\n", "which is not a time"),
        ("#head;PyTorch\n#./ts/.ts;1\n", "has no model name"),
        ("#head;PyTorch\nStart alexnet\n", "contains no figure"),
        ("#head;\n#alexnet;1\n", "'' is not a title"),
    ],
)
def test_a_file_that_is_not_a_result_is_refused_in_one_line_that_names_it(tmp_path, text, words):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(FileError) as caught:
        reading.read(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_reason_can_always_be_printed(tmp_path):
    path = tmp_path / "run.json"
    failure = {"model": "vgg11", "column": "PyTorch", "reason": "half a \ud800 character"}
    path.write_text(spoilt(lambda run: of_a_run(run, failed=[failure])))
    (failed,) = reading.read(path).failed
    assert failed.reason.encode("utf-8") == b"half a ? character"


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(FileError, match="neither a whole saved run"):
        reading.read(path)


KEYS = ["machine_info", "deploybench", "format", "fingerprint", "benchmarks", "params", "model"]
KEYS += ["stats", "data", "extra_info", "column", "column_order"]
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(content=anything)
def test_whatever_json_is_read_or_refused_but_never_breaks(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))
    with pytest.raises(FileError):
        reading.read(path)


@given(place=st.sampled_from(["params", "extra_info", "stats"]), content=anything)
def test_a_case_edited_at_will_is_read_or_refused_but_never_breaks(
    tmp_path_factory, place, content
):
    run = document({("alexnet", "eager"): [0.001]})
    run["benchmarks"][0][place] = content
    path = tmp_path_factory.getbasetemp() / "edited.json"
    path.write_text(json.dumps(run))
    try:
        (case,) = reading.read(path).cases
    except FileError as error:
        assert "\n" not in str(error)
    else:
        assert case.model and case.column and case.latency_ms > 0
