"""A small slice of validation/fuzz_readers.py, by another seed each time it is changed."""

from __future__ import annotations

import pytest

from validation import fuzz_readers, fuzz_verdicts


@pytest.mark.parametrize("reader", ["runs", "journals", "csv"])
def test_damaged_files_are_read_or_refused_in_one_line(reader):
    codes, findings = fuzz_readers.fuzz(reader, cases=200, seed=1)
    assert findings == []
    assert codes["0"] > 20 and codes["2"] > 20


@pytest.mark.parametrize(
    ("code", "out", "err"),
    [
        (70, "", "table: KeyError: 'a' (record.py:1): this is a bug, please report it\n"),
        (0, "", "Traceback (most recent call last):\n"),
        (0, "", "file.py:1: UserWarning: odd\n"),
        (2, "", "one line\nand another\n"),
        (0, "a\x1b[31m\n", ""),
    ],
    ids=["a bug", "a trace", "a warning", "two lines", "an escape code"],
)
def test_the_fuzz_finds_what_it_looks_for(code, out, err):
    assert fuzz_verdicts.of_ending(code, out, err)
    assert not fuzz_verdicts.of_ending(2, "", "table: run.json is no run\n")


def test_the_fuzz_finds_figures_that_are_none(tmp_path):
    assert fuzz_verdicts.of_report(["table", "--csv"], "Model;A\nx;nan\n", tmp_path)
    assert fuzz_verdicts.of_report(["table", "--csv"], "Model;A\n=x;1.00\n", tmp_path)
    assert not fuzz_verdicts.of_report(["table", "--csv"], "Model;A\nx;1.00*\n", tmp_path)
    assert fuzz_verdicts.of_report(["table"], "Model    A  B\na nan  1  +inf%\n", tmp_path)
    assert not fuzz_verdicts.of_report(["table"], "Model    A\na nan  1.00\n", tmp_path)
    assert not fuzz_verdicts.of_report(["tab_perf"], "Model  Backend\nx  C+inf+\n", tmp_path)
    assert fuzz_verdicts.of_inference([], "label nan%\n", tmp_path)
