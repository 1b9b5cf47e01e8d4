"""Reading saved runs and logs: what is taken, and what is refused in one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_benchmark.utils import get_machine_id

from deploybench import results
from deploybench.errors import FileError

from .saved_runs import document, save


def test_a_saved_run_keeps_every_sample_in_milliseconds(tmp_path):
    path = save(tmp_path / "run.json", {("alexnet", "cpp"): [0.003, 0.001, 0.002]}, threads=4)
    run = results.read(path)
    (case,) = run.cases
    assert (case.model, case.column, case.order) == ("alexnet", "TorchScript (C++)", 20)
    assert case.samples == pytest.approx((3.0, 1.0, 2.0))
    assert case.milliseconds == pytest.approx(2.0)
    assert run.fingerprint["threads"] == 4


def test_a_log_is_read_as_the_article_reads_it(tmp_path):
    path = tmp_path / "bench.log"
    path.write_text(
        "Start\n#head;TorchScript (C++)\nModel: 3 ms\n#./ts/a.b.ts;1.5\n#vgg11;2\n#vgg11; 2.25 ;x\n"
    )
    run = results.read(path)
    assert run.fingerprint is None
    assert [(case.model, case.column, case.milliseconds) for case in run.cases] == [
        ("a", "TorchScript (C++)", 1.5),
        ("vgg11", "TorchScript (C++)", 2.25),
    ]


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
        ("[]", "no run of this suite"),
        ("17", "no run of this suite"),
        ('{"machine_info": {}, "benchmarks": []}', "no run of this suite (no 'deploybench')"),
        (spoilt(lambda run: run.update(benchmarks=[])), "holds no measurement"),
        (
            spoilt(lambda run: run["machine_info"]["deploybench"].update(format=2, version="9.1")),
            "has format 2, this version reads 1; read it with deploybench 9.1",
        ),
        (
            spoilt(lambda run: run["machine_info"]["deploybench"].update(fingerprint=7)),
            "has no fingerprint",
        ),
        (
            spoilt(lambda run: run["benchmarks"].append(run["benchmarks"][0])),
            "holds alexnet in PyTorch twice",
        ),
        (spoilt(lambda run: run["benchmarks"][0].pop("params")), "is not a result of this suite"),
        (spoilt(lambda run: run["benchmarks"].append("x")), "is not a result of this suite"),
        (spoilt(lambda run: run["benchmarks"][0]["stats"].pop("data")), "(no 'data')"),
        (spoilt(lambda run: run["benchmarks"][0]["stats"].update(data=[])), "are no time"),
        (spoilt(lambda run: run["benchmarks"][0]["stats"].update(data=[0.0])), "are no time"),
        (spoilt(lambda run: run["benchmarks"][0]["stats"].update(data=[-1.0])), "are no time"),
        (
            spoilt(lambda run: run["benchmarks"][0]["stats"].update(data=[float("nan")])),
            "are no time",
        ),
        ("#head;PyTorch\n#alexnet;fast\n", "'#alexnet;fast' gives no figure"),
        ("#head;PyTorch\n#alexnet;nan\n", "gives nan ms, which is no time"),
        ("#head;PyTorch\n#alexnet;0\n", "gives 0 ms, which is no time"),
    ],
)
def test_what_is_no_result_is_refused_in_one_line_that_names_the_file(tmp_path, text, words):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(FileError) as caught:
        results.read(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(FileError, match="it is no text"):
        results.read(path)


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
        results.read(path)


@given(place=st.sampled_from(["params", "extra_info", "stats"]), content=anything)
def test_a_case_edited_at_will_is_read_or_refused_but_never_breaks(
    tmp_path_factory, place, content
):
    run = document({("alexnet", "eager"): [0.001]})
    run["benchmarks"][0][place] = content
    path = tmp_path_factory.getbasetemp() / "edited.json"
    path.write_text(json.dumps(run))
    try:
        (case,) = results.read(path).cases
    except FileError as error:
        assert "\n" not in str(error)
    else:
        assert case.model and case.column and case.milliseconds > 0


@pytest.fixture
def storage(tmp_path):
    folder = tmp_path / "storage"
    for name in ("0001_run1", "0002_run2", "0003_other"):
        save(folder / get_machine_id() / f"{name}.json", {("alexnet", "eager"): [0.001]})
    return folder


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["0001"], ["0001_run1"]),
        (["0002", "0001"], ["0002_run2", "0001_run1"]),
        (["run2"], ["0002_run2"]),
        (["*run*"], ["0001_run1", "0002_run2"]),
        (["0001", "0001"], ["0001_run1"]),
        ([f"{get_machine_id()}/0003"], ["0003_other"]),
    ],
)
def test_runs_are_found_by_number_name_or_glob(storage, names, stems):
    assert [path.stem for path in results.find(names, str(storage))] == stems


def test_a_path_is_a_path(storage, tmp_path):
    path = save(tmp_path / "mine.json", {("alexnet", "eager"): [0.001]})
    assert results.find([str(path)], str(storage)) == [path]


def test_a_run_that_is_not_there_is_said_with_those_that_are(storage):
    with pytest.raises(FileError, match=r"'0009' is no file and no run .* 0001_run1, 000"):
        results.find(["0009"], str(storage))


def test_looking_for_runs_makes_no_folder(tmp_path):
    with pytest.raises(FileError, match="the runs there: none"):
        results.find(["0001"], str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
