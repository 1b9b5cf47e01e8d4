"""Reduced precision as pytest shows and saves it, through a backend that rounds its logits."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

from deploybench import options
from deploybench.errors import UsageError, WrongAnswer
from deploybench.plugin.fixtures import hold_to_budget
from deploybench.tasks import fidelity
from deploybench.tasks.agreement import EXACT, Agreement

PLANT = """
from deploybench import backends
backends.__path__.append(__file__.rpartition("/")[0] + "/planted")
"""
ROUNDING = """
from deploybench.backends.base import Backend
from deploybench.backends.session import InProcessSession

class Rounding(Backend):
    name, title, order, precision = "rounding", "Rounding", 5, "int8"

    def load(self, module, artifact):
        return InProcessSession(lambda batch: (module(batch) * 1e4).round() / 1e4, self.settings)

class Rough(Rounding):
    name, title, order = "rough", "Rough", 6

    def load(self, module, artifact):
        import torch
        added = 0.05 * torch.eye(10)[3]
        return InProcessSession(lambda batch: module(batch) + added, self.settings)
"""
OWN = """
import torch
from tests.unit.tiny import Tiny
from deploybench import Model

def build():
    torch.manual_seed(1)
    return Tiny()

MODEL = Model("own", build=build, inputs=(3, 32, 32))
"""


@pytest.fixture
def planted(tmp_path):
    (tmp_path / "rounding_plant.py").write_text(PLANT)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "rounding.py").write_text(ROUNDING)
    (tmp_path / "images").mkdir()
    for number in range(64):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    return tmp_path


@pytest.mark.slow
def test_what_is_not_proven_is_marked_and_saved_and_no_success_of_a_check(planted, run_pytest):
    ran = run_pytest(
        *("-p", "rounding_plant", "tests/perf", "tests/correctness", "-rs"),
        *(f"--models={planted / 'own.py'}", "--backends=eager,rounding,rough"),
        *(
            "--benchmark-max-time=0",
            f"--images={planted / 'images'}",
            f"--benchmark-json={planted / 'run.json'}",
        ),
    )
    assert "1 failed, 4 passed, 1 skipped" in ran.stdout, ran.stdout + ran.stderr
    lines = [each for each in ran.stdout.splitlines() if re.match(r"\[\d/3\] own .* ms", each)]
    assert ["ms [UNDECIDED]" in each for each in lines] == [False, True, False]
    assert ["ms [OVER BUDGET]" in each for each in lines] == [False, False, True]
    assert re.search(r"over agreement>=0.99: \d+ of 32 images have another first", ran.stdout)
    assert "undecided, agreement>=0.99: 0 of 32 images" in ran.stdout
    assert "299 images would settle it" in ran.stdout
    (saved,) = (
        bench["extra_info"]["reduced"]
        for bench in json.loads((planted / "run.json").read_text())["benchmarks"]
        if bench["params"]["backend"] == "rounding"
    )
    assert (saved["status"], saved["images"], saved["seed"]) == ("undecided", 32, 0)
    assert saved["digest"]


def test_what_cannot_be_used_is_refused_in_one_line():
    for option, given, words in (
        (options.BUDGET, "0.99", "--budget '0.99' is not a budget; use agreement>=0.99"),
        (options.IMAGES, "nowhere", "--images 'nowhere' is not a folder; give a folder of images"),
        (options.IMAGES, "", "--images '' is not a folder"),
    ):
        with pytest.raises(UsageError) as caught:
            option.value(given)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        (fidelity.OVER, WrongAnswer),
        (fidelity.UNDECIDED, pytest.skip.Exception),
        (fidelity.NOT_JUDGED, pytest.skip.Exception),
        (fidelity.WITHIN, None),
        (EXACT, None),
    ],
)
def test_a_check_passes_only_what_is_right_or_within_its_budget(status, ends):
    agreement = Agreement(status, 1.0, None, 2, "9 of 640 images")
    with pytest.raises(ends, match="9 of 640") if ends else nullcontext():
        hold_to_budget(agreement)
