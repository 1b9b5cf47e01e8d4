"""Class labels from a file, and outputs that have no percentages."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from deploybench import cli
from deploybench.cli import infer
from deploybench.errors import FileError, UsageError
from deploybench.models import images, labels
from tests.unit import tiny


@pytest.fixture
def read(tmp_path):
    def write_and_read(content: bytes):
        path = tmp_path / "labels.txt"
        path.write_bytes(content)
        return labels.read(str(path))

    return write_and_read


@pytest.mark.parametrize(
    "content",
    [b"tabby cat\nmoped", b"tabby cat\r\nmoped\r\n\r\n", b"\xef\xbb\xbftabby cat \nmoped\n"],
)
def test_line_ends_and_byte_order_marks_are_no_part_of_labels(read, content):
    assert read(content) == ("tabby cat", "moped")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no labels"),
        (b"\r\n \n", "has no labels"),
        (b"one\n\ntwo\n", "line 2 of .* is empty"),
        (b"one\n\x1b[31mtwo\n", "line 2 of .* has control characters"),
        (b"one\x07\n", "line 1 of .* has control characters"),
        (b"one\x0ctwo\n", "line 1 of .* has control characters"),
        (b"\xc2\x9b31m\n", "line 1 of .* has control characters"),
        ("a\u202eb\n".encode(), "line 1 of .* has control characters"),
        ("one\n\u2066b\n".encode(), "line 2 of .* has control characters"),
        (b"\xff\xfeo\0n\0", "cannot be read"),
    ],
)
def test_a_file_that_is_no_list_of_labels_is_refused(read, content, words):
    with pytest.raises(FileError, match=words) as caught:
        read(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("count", "words"), [(11, "background label"), (9, "one label for each")])
def test_more_or_fewer_labels_than_classes_are_refused(count, words):
    model = replace(tiny.MODEL, labels=[f"class {number}" for number in range(count)])
    with pytest.raises(UsageError, match=f"are {count}, but the model has 10 classes; .*{words}"):
        infer._labels(model, 10)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_logits_that_are_no_numbers_are_an_error_in_one_line(value):
    output = torch.tensor([[1.0, value, 0.0]])
    with pytest.raises(UsageError, match="tiny gives NaN or infinite values for this photo"):
        infer._probabilities(output, tiny.MODEL)


def test_percentages_of_two_softmaxes_are_noticed():
    logits = 5 * torch.randn(1000, generator=torch.Generator().manual_seed(0))
    once = logits.softmax(0)
    assert not infer.is_flat(once)
    assert infer.is_flat(once.softmax(0))
    assert infer.is_flat(logits.sigmoid().softmax(0))
    assert not infer.is_flat(torch.tensor([0.6, 0.4]))


def test_infer_prints_the_labels_of_a_file(capsys, tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes("".join(f"thing {number}\r\n" for number in range(10)).encode("utf-8-sig"))
    words = ["infer", "tests/unit/tiny.py:Tiny", str(images.PHOTOGRAPH), "--device=cpu"]
    assert cli.main([*words, "--input=3x32x32", f"--labels={path}"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert {line.rpartition(" ")[0] for line in printed} <= {f"thing {i}" for i in range(10)}


def test_what_a_terminal_does_not_print_is_shown_by_its_number(capsys, tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("".join(f"thing\t{number}\u200b\ufffe\n" for number in range(10)))
    words = ["infer", "tests/unit/tiny.py:Tiny", str(images.PHOTOGRAPH), "--device=cpu"]
    assert cli.main([*words, "--input=3x32x32", f"--labels={path}"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert re.fullmatch(r"thing\t\d\\u200b\\ufffe [\d.]+%", line)


@pytest.mark.parametrize("given", [{0: "cat", 1: "dog"}, {"cat", "dog"}, "cat", ["cat", 1]])
def test_what_is_no_list_of_texts_is_refused(given):
    with pytest.raises(UsageError, match="not a list of texts"):
        labels.require(given, "labels of net")
