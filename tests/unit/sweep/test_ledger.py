"""The ledger outlives a sweep that was killed, and says how long the rest will take."""

from __future__ import annotations

import pytest

from deploybench.errors import FileError
from deploybench.sweep import ledger
from deploybench.sweep.job import Job
from deploybench.sweep.ledger import Entry


def job(model: str) -> Job:
    return Job(model, model, (), (), 1)


def test_entries_are_read_as_they_were_written(tmp_path):
    entries = [Entry("k", "net", "run 1", "CPUs 0", 2.5), Entry("l", "net", "", "", 1.0, "why")]
    for entry in entries:
        ledger.append(tmp_path, entry)
    with (tmp_path / ledger.NAME).open("a") as file:
        file.write('{"key": "m", "model"')
    assert ledger.read(tmp_path) == entries
    assert ledger.read(tmp_path / "none") == []


def test_a_ledger_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / ledger.NAME).mkdir()
    with pytest.raises(FileError, match="cannot be written"):
        ledger.append(tmp_path, Entry("k", "net", "", "", 1.0))


def test_the_time_is_the_median_of_the_model_or_of_all():
    known = [Entry("", "a", "", "", s) for s in (1.0, 2.0, 9.0)]
    known += [Entry("", "b", "", "", 10.0), Entry("", "a", "", "", 500.0, "failed")]
    assert ledger.expected_seconds([job("a"), job("b")], known) == 12.0
    assert ledger.expected_seconds([job("new")], known) == 5.5
    assert ledger.expected_seconds([job("a")], []) is None
    assert ledger.expected_seconds([], known) == 0
