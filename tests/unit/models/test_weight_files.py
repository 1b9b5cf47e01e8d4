"""Files of weights that cannot be read: what they are, and what to do."""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import io
import pathlib
import sys
import tarfile
import zipfile
from unittest.mock import patch

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from deploybench.errors import FileError
from deploybench.models import weight_files, weights

from .. import tiny
from ..tiny import Tiny

STATE = Tiny().state_dict()


@dataclasses.dataclass
class Config:
    rate: float = 0.1


def refused(path) -> str:
    """The message of the refusal, in one line."""
    with pytest.raises(FileError) as caught:
        weight_files.read(path)
    said = str(caught.value)
    assert said.startswith(f"weights file '{path}' cannot be read: ")
    assert "\n" not in said and "\x1b" not in said
    assert "weights_only" not in said
    return said


def _zip(names: list[str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return made.getvalue()


def _tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return made.getvalue()


def _saved(content) -> bytes:
    made = io.BytesIO()
    torch.save(content, made)
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "an HTML page"),
        (b"<?xml version='1.0'?><Error>", "an XML or HTML document"),
        (b'{"message": "Not Found"}', "a JSON text"),
        (
            b'{"metadata": {}, "weight_map": {"a": "b"}}',
            "the index of a state dict in several files",
        ),
        (b"", r"empty \(0 bytes\); download or copy it again"),
        (bytes(5000), "of zero bytes only"),
        (gzip.compress(b"x", mtime=0), "compressed by gzip; unpack it"),
        (_tar(), "a tar archive; unpack it"),
        (
            _zip(["m/code/net.py", "m/constants.pkl", "m/data.pkl"]),
            r"jit\.load\('/.*/weights\.pth'\)",
        ),
        (_zip(["m/archive_format", "m/models/model.json"]), r"exported program \(\.pt2\)"),
        (_zip(["a.npy", "b.npy"]), "archive of NumPy's arrays"),
        (_zip(["weights.pth"]), r"it holds 'weights\.pth'; unpack it"),
        (_saved(STATE)[:3000], "cut short or damaged; download or copy it again"),
        (b"\x08\x0a\x12\x07pytorch\x1a\x03", "an ONNX model"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\x80\x04\x95", "a plain pickle, which is not opened"),
        (b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "damaged or cut short"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "safetensors file that is cut short"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00{x", "damaged safetensors file"),
        (b"just words\n", "a text"),
        (b"\x01\x02\x03\x00\xff", "no state dict of torch"),
    ],
    # Not the contents: a zip file has the time in it, and workers of pytest-xdist must agree.
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_what_is_no_state_dict_is_called_by_its_name(tmp_path, content, words):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(FileError, match=words):
        weight_files.read(path)
    refused(path)


@pytest.mark.parametrize(
    "name", ["any.ckpt", "model_best.pth.tar", "weights.bin", "noname", "any.safetensors"]
)
def test_the_content_of_a_file_counts_and_not_its_name(tmp_path, name):
    path = tmp_path / name
    torch.save(STATE, path)
    assert weight_files.read(weights.parse(str(path)).path).keys() == STATE.keys()
    save_file(STATE, path)
    assert weight_files.read(weights.parse(str(path)).path).keys() == STATE.keys()
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    assert weight_files.read(weights.parse(str(path)).path).keys() == STATE.keys()


def test_a_safetensors_file_without_its_package_names_the_package(tmp_path):
    save_file(STATE, tmp_path / "weights.pth")
    with patch.dict(sys.modules, {"safetensors.torch": None}):
        assert "pip install safetensors" in refused(tmp_path / "weights.pth")


def test_what_is_no_file_is_named_before_anything_runs(tmp_path):
    (tmp_path / "link.pth").symlink_to("gone.pth")
    with pytest.raises(FileError, match=r"a link to 'gone\.pth', which does not exist"):
        weights.parse(str(tmp_path / "link.pth"))
    with pytest.raises(FileError, match="not a regular file"):
        weights.parse("/dev/null")
    (tmp_path / "a.pth").write_bytes(b"<html>")
    with pytest.raises(FileError, match="an HTML page"):
        weights.parse(str(tmp_path / "a.pth"))
    with (
        patch("pathlib.Path.open", side_effect=PermissionError(13, "Permission denied")),
        pytest.raises(FileError, match="Permission denied; check the path and its rights"),
    ):
        weights.parse(str(tmp_path / "a.pth"))


def execute(line: str) -> None:
    """Run a line of Python, and forget what it allowed."""
    allowed = torch.serialization.get_safe_globals()
    try:
        exec(line, {})
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)


DATA = {
    "argparse.Namespace": argparse.Namespace(rate=1),
    "pathlib.": pathlib.Path("a/b"),
    "multiarray.scalar": np.float64(3.0),
    "numpy.ndarray": np.ones(3, np.float32),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_the_line_of_python_that_is_named_saves_the_weights(tmp_path, name, zipped):
    path = tmp_path / "it's.pth"
    torch.save(
        {"epoch": 3, "state_dict": STATE, "best": DATA[name]},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    said = refused(path)
    assert name in said.partition(", which is not opened")[0]
    line = said.partition("in Python: ")[2]
    execute(line)
    assert weight_files.read(tmp_path / "it's-weights.pth").keys() == STATE.keys()


def test_of_two_state_dicts_the_line_saves_both(tmp_path):
    torch.save({"a": STATE, "b": STATE, "args": argparse.Namespace()}, tmp_path / "x.pth")
    execute(refused(tmp_path / "x.pth").partition("in Python: ")[2])
    assert weight_files.read(tmp_path / "x-weights.pth").keys() == {"a", "b"}


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit",)


@pytest.mark.parametrize(
    ("content", "name", "line"),
    [
        (Tiny(), "tests.unit.tiny.Tiny", "torch.save(model.state_dict(), "),
        ({"model": Tiny(), "epoch": 3}, "Tiny", "torch.save(checkpoint['model'].state_dict(), "),
        ({"net": STATE, "c": Config()}, f"{__name__}.Config", "torch.save(checkpoint['net'], "),
        ({"net": STATE, "c": Bomb()}, "builtins.exec", "torch.save("),
    ],
)
def test_objects_of_a_program_are_saved_by_that_program(tmp_path, content, name, line):
    torch.save(content, tmp_path / "x.pth")
    said = refused(tmp_path / "x.pth")
    assert name in said
    assert "in the program that wrote it: " + line in said
    assert "add_safe_globals" not in said


@pytest.mark.filterwarnings("error")
def test_warnings_of_torch_stay_away_from_the_user(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"sparse": torch.ones(3).to_sparse()}, path)
    assert list(weight_files.read(path)) == ["sparse"]


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda best: {**STATE, "best": best},
        lambda best: {"model": {"module": STATE}, "best": best},
        lambda best: [STATE, best],
    ],
    ids=["flat", "two levels", "list"],
)
def test_the_line_of_python_finds_the_weights_wherever_they_are(tmp_path, wrapped):
    torch.save(wrapped(np.float64(3.0)), tmp_path / "x.pth")
    execute(refused(tmp_path / "x.pth").partition("in Python: ")[2])
    assert weight_files.read(tmp_path / "x-weights.pth").keys() == STATE.keys()


def test_two_files_of_one_model_are_named_and_none_is_taken(tmp_path):
    for suffix in ("pth", "safetensors"):
        (tmp_path / f"tiny.{suffix}").touch()
    with pytest.raises(FileError, match=r"tiny\.pth|tiny\.safetensors") as caught:
        weights._find(tmp_path, tiny.MODEL)
    assert "keep one, or name the file" in str(caught.value)


def test_a_link_to_nothing_in_a_folder_is_not_the_same_as_no_file(tmp_path):
    (tmp_path / "tiny.pth").symlink_to("/nowhere/tiny.pth")
    with pytest.raises(FileError, match=r"a link to '/nowhere/tiny\.pth', which does not exist"):
        weights._find(tmp_path, tiny.MODEL)
