"""Reads a file of weights, and says what a file is that cannot be read as one.

Importing this module imports no torch. Nothing is unpickled freely: torch loads a file with
weights_only, which creates only tensors and plain containers and calls nothing that a file names.
"""

from __future__ import annotations

import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from ..errors import FileError, first_line
from . import refused_objects, torch_files

SUFFIXES = (".safetensors", ".pth", ".pt")
"""Of a state dict's file in a folder."""
SAFETENSORS = "safetensors"
AGAIN = "download or copy it again"
SAVE = "save a state dict in Python: torch.save(model.state_dict(), 'weights.pth')"
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""What a file of torch before 1.6 begins with: its magic number as a pickle."""

# What other files begin with: what they are, and what to do.
BEGINNINGS = {
    b"version https://git-lfs": ("a Git LFS pointer, not the file itself", "run git lfs pull"),
    b"\x1f\x8b": ("compressed by gzip", "unpack it with gunzip or tar"),
    b"BZh": ("compressed by bzip2", "unpack it with bunzip2 or tar"),
    b"\xfd7zXZ": ("compressed by xz", "unpack it with unxz or tar"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "unpack it with unzstd"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    b"Rar!": ("a RAR archive", "unpack it"),
    b"\x89HDF": ("an HDF5 file, such as Keras's weights", f"convert it, and {SAVE}"),
    b"\x93NUMPY": ("an array of NumPy (.npy)", SAVE),
    b"GGUF": ("a GGUF file of language models", SAVE),
    b"\x89PNG": ("a PNG image", "name a file of weights"),
    b"\xff\xd8\xff": ("a JPEG image", "name a file of weights"),
    b"%PDF": ("a PDF document", "name a file of weights"),
    b"\x7fELF": ("a program or library", "name a file of weights"),
    b"#!": ("a script", "name a file of weights"),
}


def read(path: Path) -> Any:
    """The contents of a file of weights, on the CPU.

    Raises FileError with what the file is and what to do if it cannot be read as one.
    """
    if require_weights(path) == SAFETENSORS:
        return _safetensors(path)
    try:
        return torch_files.load(path)
    except Exception as error:
        # torch's unpickler may raise any error for bytes that are not a checkpoint.
        if names := refused_objects.named(error):
            raise refused(path, refused_objects.explained(path, names)) from None
        said = _without_advice(error)
        raise refused(path, f"it is damaged or cut short ({said}); {AGAIN}") from None


def of_name(folder: Path, stem: str) -> list[Path]:
    """The files of weights in a folder that have this name, with any of the suffixes."""
    paths = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
    return [path for path in paths if os.path.lexists(path)]


def require_target(path: Path) -> None:
    """Raise FileError for a link to nothing."""
    if path.is_symlink() and not path.exists():
        raise FileError(
            f"weights file '{path}' is a link to '{path.readlink()}', which does not exist"
        )


def refused(path: Path, words: str) -> FileError:
    """The error for a file that cannot be read."""
    return FileError(f"weights file '{path}' cannot be read: {words}")


def require_weights(path: Path) -> str:
    """What kind of file of weights the content of a file is; its name does not count.

    Raises FileError with what the file is and what to do if it is none. Reads only its beginning,
    and the list of files of an archive.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        size = path.stat().st_size
        kind, found = _kind(path, head, size)
    except OSError as error:
        raise refused(path, f"{error.strerror or error}; check the path and its rights") from None
    if found is not None:
        raise refused(path, f"it is {'; '.join(found)}")
    return kind


def _kind(path: Path, head: bytes, size: int) -> tuple[str, tuple[str, str] | None]:
    """The kind of a file of weights; for others, what it is and what to do."""
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and (2 <= length <= 100_000_000 or path.suffix == ".safetensors"):
        cut = ("a safetensors file that is cut short", AGAIN) if length + 8 > size else None
        return SAFETENSORS, cut
    if head.startswith(b"PK\x03\x04"):
        return "torch", _zip(path)
    if head.startswith(LEGACY):
        return "torch", None
    return "", _other(path, head)


def _other(path: Path, head: bytes) -> tuple[str, str]:
    if not head:
        return "empty (0 bytes)", AGAIN
    for beginning, found in BEGINNINGS.items():
        if head.startswith(beginning):
            return found
    if not any(head):
        return "of zero bytes only, as an interrupted download leaves it", AGAIN
    if head[257:262] == b"ustar" or tarfile.is_tarfile(path):
        return "a tar archive", "unpack it with tar -xf, and name the file of weights in it"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<!--")):
        return "an HTML page, such as an error or login page", "download the file itself"
    if text.startswith(b"<"):
        return "an XML or HTML document, such as an error of a download", "download the file itself"
    if text.startswith(b"{") and b'"weight_map"' in text:
        return "the index of a state dict in several files", "save the state dict as one file"
    if text.startswith((b"{", b"[")):
        return "a JSON text, such as an index or an error of a download", "name the file of weights"
    if head[:1] == b"\x80" and head[1:2] in b"\x00\x01\x02\x03\x04\x05":
        return "a plain pickle, which is not opened, because that runs code", SAVE
    if path.suffix == ".onnx" or (head[:1] == b"\x08" and b"pytorch" in head[:64]):
        return "an ONNX model", f"export it from PyTorch with deploybench; for weights, {SAVE}"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", SAVE
    if b"\x00" not in head and head.isascii():
        return "a text", "name a file of weights"
    return "no state dict of torch, nor safetensors", f"check that it is the right file, or {SAVE}"


def _zip(path: Path) -> tuple[str, str] | None:
    """What an archive is that torch.save did not write."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return "a file of torch.save, or another zip, that is cut short or damaged", AGAIN
    # torch.save and its relatives put everything into one folder.
    inner = {name.partition("/")[2] for name in names}
    if "archive_format" in inner or "archive_format" in names:
        # An exported program and a package of AOTInductor alike.
        return "an exported program (.pt2), not a state dict", SAVE
    if any(name.startswith("code/") for name in inner) or "constants.pkl" in inner:
        line = f"torch.save(torch.jit.load({str(path)!r}).state_dict(), 'weights.pth')"
        return "a TorchScript archive, not a state dict", f"in Python: {line}"
    if "data.pkl" in inner:
        return None
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy's arrays (.npz)", SAVE
    first = f"'{names[0]}'" if names else "nothing"
    return f"a zip archive that torch.save did not write; it holds {first}", "unpack it"


def _safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError:
        words = "it is a safetensors file, and safetensors is not installed"
        raise refused(path, f"{words}: pip install safetensors") from None
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            json.loads(file.read(length))
        return load_file(path)
    except Exception as error:
        raise refused(
            path, f"it is a damaged safetensors file ({first_line(error)}); {AGAIN}"
        ) from (None)


def _without_advice(error: Exception) -> str:
    """What torch says is wrong, without its advice to open the file by other means."""
    said = first_line(error)
    return type(error).__name__ if "weights_only" in said or "\x1b" in said else said
