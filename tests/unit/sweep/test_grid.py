"""A grid becomes jobs: one for each model, condition and repeat."""

from __future__ import annotations

import pytest

from deploybench.errors import FileError, UsageError
from deploybench.sweep import grid

NAMES = ("models", "backends", "dtype", "batch-size", "device", "threads")
FLAGS = ("channels-last",)
TWO = {"a": "zoo:a", "b": "zoo:b"}


def jobs(given: dict, models=TWO):
    return grid.of(given, NAMES, FLAGS).jobs(models)


def test_several_values_make_a_job_each_and_backends_are_measured_together():
    found = jobs(
        {"backends": ["eager", "cpp"], "dtype": ["float32", "bfloat16"], "batch-size": [1, 8]}
    )
    assert len(found) == 2 * 2 * 2
    assert found[0].words() == [
        "--models=zoo:a",
        "--backends=eager,cpp",
        "--batch-size=1",
        "--dtype=float32",
    ]
    assert len({job.key for job in found}) == 8


def test_repeats_come_one_after_the_other_over_the_whole_grid():
    found = jobs({"dtype": ["float32", "bfloat16"], "repeats": 2})
    assert [job.repeat for job in found] == [1] * 4 + [2] * 4
    assert [job.model for job in found[:2]] == ["a", "b"]
    assert found[0].label == "a dtype=float32, run 1"


def test_a_job_is_the_same_however_its_grid_is_written():
    one = jobs({"threads": 2, "backends": "eager,cpp"})
    other = jobs({"backends": ["eager", "cpp"], "threads": ["2"]})
    assert [job.key for job in one] == [job.key for job in other]


def test_a_flag_is_given_or_left_out():
    without, given = jobs({"channels-last": [False, True]}, {"a": "a"})
    assert without.words() == ["--models=a"]
    assert given.words() == ["--models=a", "--channels-last"]


@pytest.mark.parametrize(("device", "expected"), [("cuda", True), ("cuda:1", True), ("cpu", False)])
def test_the_device_says_whether_a_job_needs_a_gpu(device, expected):
    (job, *_) = jobs({"device": device})
    assert job.on_gpu is expected
    (job, *_) = jobs({"device": [device, "auto"]})
    assert job.on_gpu is expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dtypes": "float32"}, r"unknown option 'dtypes' \(did you mean 'dtype'\?\)"),
        ({"dtype": []}, "dtype has no values"),
        ({"dtype": {"a": 1}}, "dtype has the value .* give text or numbers"),
        ({"dtype": True}, "dtype has the value True; give text or numbers"),
        ({"channels-last": "yes"}, "channels-last has the value 'yes'; give true or false"),
        ({"repeats": 0}, "repeats is 0, not a positive whole number"),
        ({"repeats": True}, "repeats is True, not a positive whole number"),
    ],
)
def test_what_is_no_grid_is_refused_in_one_line(given, words):
    with pytest.raises(UsageError, match=words):
        grid.of(given, NAMES, FLAGS)


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text("models = [")
    with pytest.raises(FileError, match=r"cannot be read: .*; give a TOML file"):
        grid.content(path)
    with pytest.raises(FileError, match="No such file"):
        grid.content(tmp_path / "none.toml")
