"""The tools that work on models and photos: what they write, and what they refuse in one line."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from deploybench.models import images

ROOT = Path(__file__).resolve().parents[3]
MODEL = "shufflenet_v2_x0_5"
PHOTO = images.PHOTOGRAPH


def tool(name: str, *arguments) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_read_image_writes_what_the_article_feeds_its_cpp_program(tmp_path):
    path = tmp_path / "photo.dat"
    assert tool("read_image.py", PHOTO, path).returncode == 0
    values = np.fromfile(path, dtype="<f4").reshape(3, 224, 224)
    assert np.array_equal(values, images.read_image(PHOTO).numpy())


def test_generate_ts_writes_files_that_load_and_answer(tmp_path):
    assert tool("generate_ts.py", MODEL, "--out", tmp_path / "ts").returncode == 0
    (path,) = (tmp_path / "ts").iterdir()
    assert path.name == f"{MODEL}.ts"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logits = torch.jit.load(str(path), map_location="cpu")(images.batch(224, 2))
    assert logits.shape == (2, 1000)
    assert not torch.equal(logits[0], logits[1])


@pytest.mark.slow
def test_infer_prints_the_same_through_every_backend():
    printed = {
        backend: tool("infer.py", MODEL, PHOTO, "--backend", backend)
        for backend in ("eager", "scripted", "cpp")
    }
    assert len(printed["eager"].stdout.splitlines()) == 5
    assert len({ran.stdout for ran in printed.values()}) == 1
    # The only other output is a warning that the weights are random.
    said = "the weights are random, so the labels mean nothing; use --weights pretrained\n"
    assert {ran.stderr for ran in printed.values()} == {said}


@pytest.fixture
def not_an_image(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("not an image")
    return path


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("infer.py", ["resnet19", PHOTO], "unknown model 'resnet19': did you mean 'resnet1"),
        ("infer.py", ["resnet*", PHOTO], "model names 5 models; give one"),
        ("infer.py", [MODEL, PHOTO, "--backend", "tpu"], "unknown backend 'tpu'"),
        ("infer.py", [MODEL, "none.jpg"], "'none.jpg' does not exist"),
        ("infer.py", [MODEL, "{text}"], "notes.jpg' cannot be read"),
        ("infer.py", [MODEL, PHOTO, "--device", "cuda:77"], "'cuda:77' does not exist"),
        ("infer.py", [MODEL, PHOTO, "--threads", "0"], "--threads '0' is not a positive"),
        ("infer.py", [MODEL, PHOTO, "--weights", "mine"], "mine"),
        ("read_image.py", ["{text}", "{folder}/x.dat"], "notes.jpg' cannot be read"),
        ("read_image.py", [PHOTO, "{folder}/no/x.dat"], "x.dat cannot be written: No such"),
        ("read_image.py", [PHOTO, "/dev/null"], "/dev/null is not a regular file"),
        ("generate_ts.py", ["resnet19"], "unknown model 'resnet19'"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, not_an_image, name, arguments, words):
    places = {"text": not_an_image, "folder": tmp_path}
    ran = tool(name, *(str(argument).format(**places) for argument in arguments))
    assert ran.returncode == 2
    assert words in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith(f"{name.removesuffix('.py')}: ")
    assert ran.stdout == ""
