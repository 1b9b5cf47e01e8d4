"""A record and its JSON: both ways, and what is refused on the way back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploybench.errors import FileError
from deploybench.records import reading
from deploybench.records.record import (
    READABLE,
    CaseRecord,
    Check,
    FailedCase,
    MachineNoise,
    Noise,
    Notice,
    Peak,
    RunRecord,
)
from deploybench.records.reduced import STATUSES, Reduced
from tests.unit import saved_runs

DATA = Path(__file__).parents[1] / "data"
PATH = Path("run.json")

names = st.text("abcdefgh_ 0123é", min_size=1, max_size=8).filter(str.strip)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
counts = st.integers(0, 2**40)
amounts = st.floats(0, allow_nan=False, allow_infinity=False)
durations = st.floats(0, 1e9, exclude_max=True)
rates = st.just(0.0) | st.floats(1, 1e29)
positive = st.integers(1, 2**31)


def of(kind):
    return st.none() | kind


checks = st.builds(Check, texts, amounts, amounts, counts, texts)
failed_cases = st.builds(
    FailedCase, names, names, texts, st.sampled_from(["wrong", "failed"]), of(names), of(positive)
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
reduced = st.builds(
    Reduced,
    *(texts, st.sampled_from(STATUSES), texts, texts),
    *(counts, counts, counts, of(amounts), of(numbers), of(amounts), of(amounts), counts),
    *(of(amounts), of(amounts), counts, counts, counts, of(numbers), of(numbers)),
    *(texts, counts, of(counts), of(texts), of(counts), of(counts), of(amounts), texts),
)
noises = st.builds(Noise, *[of(st.builds(MachineNoise, durations, amounts))] * 2)
OPTIONAL = {
    "clock": of(texts),
    "check": of(checks),
    "batch_size": of(positive),
    "flops": of(counts),
    "weight_bytes": of(counts),
    "artifact_sha256": of(texts),
    "artifact_bytes": of(counts),
    "export_seconds": of(durations),
    "load_seconds": of(durations),
    "first_call_ms": of(durations),
    "second_call_ms": of(durations),
    "memory_bytes": of(counts),
    "device_memory_bytes": of(counts),
    "cold_start_seconds": of(durations),
    "cold_start_peak_bytes": of(counts),
    "needs_python": of(st.booleans()),
    "packages": st.dictionaries(texts, of(texts), max_size=2),
    "stopped_by": of(texts),
    "precision": of(amounts),
    "device_ms": st.lists(durations, max_size=3).map(tuple),
    "neighbours_ms": st.lists(durations, max_size=3).map(tuple),
    "disturbed": st.lists(texts, max_size=2).map(tuple),
    "attempts": of(counts),
    "weights_digest": of(texts),
    "reduced": of(reduced),
}


@st.composite
def case_records(draw):
    turns = draw(of(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)))
    number = draw(st.integers(1, 5)) if turns is None else sum(turns)
    times = st.floats(1e-9, 1e9, exclude_max=True)
    samples = tuple(draw(st.lists(times, min_size=number, max_size=number)))
    optional = {name: draw(strategy) for name, strategy in OPTIONAL.items()}
    about = (draw(names), draw(names), draw(names), draw(st.integers(-100, 100)))
    return CaseRecord(*about, samples, turns=turns, **optional)


scalars = st.none() | st.booleans() | texts | st.integers(-(2**60), 2**60)
scalars |= st.floats(allow_nan=False, allow_infinity=False)
run_records = st.builds(
    RunRecord,
    st.just(PATH),
    st.dictionaries(texts, scalars, max_size=4),
    st.lists(case_records(), max_size=2, unique_by=lambda case: (case.model, case.column)).map(
        tuple
    ),
    of(texts),
    st.lists(failed_cases, max_size=2).map(tuple),
    of(st.builds(Peak, rates, rates)),
    st.lists(st.builds(Notice, texts, texts, texts), max_size=2).map(tuple),
    of(noises),
    of(texts),
    st.sampled_from(READABLE),
    of(st.dictionaries(texts, scalars, max_size=3)),
)


@given(run_records)
def test_a_run_comes_back_from_its_json_as_it_was(run):
    written = json.dumps(run.to_json(), allow_nan=False)
    assert RunRecord.from_json(json.loads(written), PATH) == run


def test_every_field_of_a_case_is_among_those_that_come_back():
    ours = {field.name for field in dataclasses.fields(CaseRecord)}
    assert ours - set(OPTIONAL) == {
        *("model", "backend", "column", "column_order", "samples_seconds", "turns")
    }


def test_every_field_of_reduced_precision_is_among_those_that_come_back():
    # A builder with too few arguments would leave the others at their defaults.
    assert len(dataclasses.fields(Reduced)) == 27


@pytest.mark.parametrize(
    "name", ["saved_run_0.1.0.json", "saved_run_0.2.0.json", "unfinished_run_0.2.0"]
)
def test_a_real_run_comes_back_from_its_json_as_it_was(name):
    run = reading.read(DATA / name)
    assert len(run.cases) > 1
    assert RunRecord.from_json(json.loads(json.dumps(run.to_json())), run.path) == run


def test_what_a_real_run_says_of_a_case_is_typed():
    run = reading.read(DATA / "saved_run_0.2.0.json")
    case = {(case.model, case.backend): case for case in run.cases}["squeezenet1_1", "scripted"]
    assert case.check == Check("exact", 1.0, pytest.approx(672.649), 2)
    assert case.clock == "synchronized_perf_counter"
    assert (case.batch_size, case.flops, case.weight_bytes) == (1, 698303872, 4941984)
    assert (case.needs_python, case.packages, case.stopped_by) == (True, {}, "max_seconds")
    assert case.turns == (5, 5, 5, 5)
    assert case.weights_digest is None
    assert (run.version, run.format) == ("0.2.0", 2)
    assert run.peak.flops_per_second == pytest.approx(1.0177e11, rel=1e-3)
    assert len(run.notices) == 3
    assert run.noise.before.median_seconds == pytest.approx(0.00756, rel=1e-3)


def test_in_an_older_run_the_reason_shows_which_failure_was_a_wrong_answer():
    run = reading.read(DATA / "saved_run_0.2.0.json")
    assert {(case.backend, case.kind) for case in run.failed} == {
        ("wrong", "wrong"),
        ("broken", "failed"),
    }


def test_the_kind_of_a_failure_is_read_if_the_run_records_it():
    document = RunRecord(PATH, {}).to_json()
    document["deploybench"]["failed"] = [
        {"model": "vgg11", "column": "PyTorch", "reason": "different", "kind": "failed"}
    ]
    (case,) = RunRecord.from_json(document, PATH).failed
    assert case.kind == "failed"


FIELDS = [field for field in dataclasses.fields(CaseRecord) if field.metadata]
NUMBERS = [
    field.name for field in FIELDS if str(field.type).removesuffix(" | None") in ("int", "float")
]


def refusal(**info):
    """What is said of a case with that in its extra_info."""
    document = saved_runs.document({("alexnet", "eager"): [0.001]})
    document["benchmarks"][0]["extra_info"] |= info
    with pytest.raises(FileError) as caught:
        RunRecord.from_json(document, PATH)
    words = str(caught.value)
    assert "\n" not in words
    return words


@pytest.mark.parametrize("name", [field.name for field in FIELDS])
def test_a_field_of_another_type_is_refused_by_its_name(name):
    words = refusal(**{name: [{}]})
    assert words.startswith(f"run.json, benchmark 1: alexnet in PyTorch has {name}")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1, 10**400, True, "1"])
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_not_a_number_is_refused_by_the_fields_name(name, bad):
    assert f"has {name} " in refusal(**{name: bad})


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"check": {}}, "(no check.verdict)"),
        ({"check": {"verdict": 7}}, "has check.verdict 7, which is not text"),
        ({"device_ms": [1.0, None]}, "has device_ms[1] None, which is not a number"),
        ({"disturbed": ["load", 3]}, "has disturbed[1] 3, which is not text"),
        ({"packages": {"a\nb": 1}}, "has packages.'a\\nb' 1, which is not text"),
    ],
)
def test_a_value_within_a_field_is_named_by_its_path(info, words):
    assert words in refusal(**info)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (7, "has deploybench 7, which is not an object"),
        ({"run": 7}, "has run 7, which is not text"),
        ({"failed": {}}, "has failed {}, which is not a list"),
        ({"failed": [{"model": "a"}]}, "(no failed[0].column)"),
        (
            {"failed": [{"model": "a", "column": "b", "reason": "c", "kind": "late"}]},
            "has failed[0].kind 'late', which is not 'wrong' or 'failed'",
        ),
        ({"peak": {"flops_per_second": 1.0}}, "(no peak.bytes_per_second)"),
        ({"notices": ["hot"]}, "has notices[0] 'hot', which is not an object"),
        ({"noise": {"before": {"median": "x"}}}, "has noise.before.median 'x', which is not"),
    ],
)
def test_what_a_run_says_of_itself_is_checked_too(own, words):
    document = saved_runs.document({("alexnet", "eager"): [0.001]})
    with pytest.raises(FileError) as caught:
        RunRecord.from_json({**document, "deploybench": own}, PATH)
    assert words in str(caught.value)
    assert str(caught.value).startswith("run.json ")
