"""What a reader takes is checked in one place: wrong values are refused, odd text is kept whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploybench import cli
from deploybench.errors import FileError
from deploybench.records import checkpoint, reading
from deploybench.records.record import RunRecord

from ..saved_runs import document

INFO = ("export_seconds", "load_seconds", "first_call_ms", "second_call_ms", "cold_start_seconds")


def written(path: Path, run: object) -> Path:
    path.write_text(json.dumps(run))
    return path


def one() -> dict:
    return document({("alexnet", "eager"): [0.001]})


@pytest.mark.parametrize("seconds", [2e-14, 9e-10, 5e-324])
def test_a_sample_finer_than_any_clock_is_refused(tmp_path, seconds):
    run = document({("alexnet", "eager"): [0.001, seconds]})
    words = r"stats.data\[1\] .* is not a time in seconds: no clock is finer than a nanosecond"
    with pytest.raises(FileError, match=words):
        reading.read(written(tmp_path / "run.json", run))


def test_a_log_finer_than_any_clock_is_refused(tmp_path):
    path = tmp_path / "bench.log"
    path.write_text("#head;PyTorch\n#alexnet;2e-11\n")
    with pytest.raises(FileError, match="2e-11 ms, which is not a time"):
        reading.read(path)


@pytest.mark.parametrize("name", INFO)
@pytest.mark.parametrize("value", [-1, 1e308, float("nan"), float("inf"), 10**400, True, "1", [1]])
def test_a_duration_is_a_number_that_can_be_one(name, value):
    run = one()
    run["benchmarks"][0]["extra_info"][name] = value
    with pytest.raises(FileError, match=f"has {name} .*, which is not a number of at least 0"):
        RunRecord.from_json(run, Path("run"))


@pytest.mark.parametrize("value", [5e-324, -1.0, 1e300, float("inf")])
def test_a_rate_is_one_that_a_device_can_have(value):
    run = one() | {"deploybench": {"peak": {"flops_per_second": value, "bytes_per_second": 1e9}}}
    with pytest.raises(FileError, match=r"peak.flops_per_second .* is not a rate"):
        RunRecord.from_json(run, Path("run"))


@pytest.mark.parametrize("value", [-4, 0, 1.5, True, "1,-8", "1,,8", "many"])
def test_a_batch_size_is_positive(value):
    run = document({("alexnet", "eager"): [0.001]}, batch_size=value)
    with pytest.raises(FileError, match=r"has batch_size .*, which is not a positive whole number"):
        RunRecord.from_json(run, Path("run"))


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(one()).replace('"threads": 2', '"threads": 2, "threads": 4'))
    with pytest.raises(FileError, match="'threads' is twice in one object"):
        reading.read(path)
    (tmp_path / checkpoint.HEADER).write_bytes(path.read_bytes())
    with pytest.raises(FileError, match="'threads' is twice in one object"):
        reading.read(tmp_path)


def test_a_run_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(json.dumps(one()).encode().replace(b"some processor", b"some \xff"))
    with pytest.raises(FileError, match="it is not UTF-8 text"):
        reading.read(path)


def test_two_conditions_with_half_a_character_stay_distinct_and_can_be_written():
    runs = [document({}, **{f"a{each}": each}) for each in ("\ud800", "\ud801")]
    prints = [RunRecord.from_json(run, Path("run")).fingerprint for run in runs]
    assert prints[0]["a\\ud800"] == "\\ud800"
    assert prints[1]["a\\ud801"] == "\\ud801"


def test_an_error_quotes_no_escape_codes(tmp_path, capsys):
    run = one()
    run["machine_info"]["deploybench"].update(format=9, version="\x1b[31m9\u202e")
    assert cli.main(["table", str(written(tmp_path / "run.json", run))]) == 2
    assert "read it with deploybench \\x1b[31m9\\u202e or newer" in capsys.readouterr().err
