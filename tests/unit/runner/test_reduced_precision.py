"""Backends of reduced precision: what they are calibrated with, and how a run judges them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from deploybench import Model, settings
from deploybench.backends.base import Backend, ReducedWork
from deploybench.backends.session import InProcessSession
from deploybench.errors import WrongAnswer
from deploybench.formats.base import CalibratedFormat
from deploybench.models import pictures, weights
from deploybench.runner import reduced_precision
from deploybench.runner.prepared_model import Plan
from deploybench.runner.reduced_precision import Judging
from deploybench.runner.scheduler import describe
from deploybench.runner.workbench import Workbench
from deploybench.tasks.fidelity import NOT_JUDGED, OVER, WITHIN, Budget
from deploybench.timing.interleaving import measure_interleaved
from deploybench.timing.protocol import Protocol

from ..tiny import Tiny

CPU = settings.resolve("cpu", threads=1)
BUDGET = Budget(least=0.9)
"""Which 32 of 32 images show."""


class Scaled(Tiny):
    """Logits that differ from image to image."""

    def forward(self, x):
        return super().forward(x) * 100


def build() -> Scaled:
    torch.manual_seed(1)
    return Scaled()


MODEL = Model("scaled", build=build, inputs=(3, 32, 32))


class Rounded(CalibratedFormat):
    suffix = "rounded"

    def export_calibrated(self, module, example, path, calibration):
        given = list(calibration.batches())
        assert len(given) == calibration.count
        path.write_text(f"{calibration.source}: {calibration.count} of {list(given[0][0].shape)}")


class Coarse(Backend):
    """Rounds the logits to multiples of a step, and says it is int8."""

    name, title, order = "coarse", "Coarse", 1
    format = Rounded
    precision = "int8"
    step = 1e-3
    spoil = staticmethod(lambda logits, call: logits)

    def load(self, module, artifact):
        self.text, calls = artifact.read_text(), []

        def forward(batch):
            calls.append(1)
            rounded = (module(batch) / self.step).round() * self.step
            return self.spoil(rounded, len(calls))

        return InProcessSession(forward, self.settings)

    def reduced_work(self, artifact, example):
        return ReducedWork(2, 1, 0.5)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(64):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3)) * (number % 8 + 1) // 8
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def opened(images, monkeypatch):
    """Opens the model through the backend `kind`, and closes it in the end."""
    benches = []

    def open_case(kind=Coarse, model=MODEL, judging=None, **plan):
        monkeypatch.setattr("deploybench.runner.workbench.registry", lambda: {"coarse": kind})
        chosen = Plan(
            CPU, weights.RANDOM, inputs=2, judging=judging or Judging(images, BUDGET), **plan
        )
        benches.append(Workbench(chosen))
        return benches[-1].open(model, "coarse")

    yield open_case
    for bench in benches:
        bench.close()


def test_an_answer_that_rounding_hardly_changes_is_within_its_budget(opened):
    case = opened()
    agreement = case.check(1)
    assert (agreement.verdict, agreement.agrees) == (WITHIN, True)
    assert "0 of 32 images" in agreement.reason
    found = case.reduced
    assert (found.status, found.images, found.first_equal) == (WITHIN, 32, 32)
    assert (found.source, found.calibrated_with, found.seed) == ("folder images", 32, 0)
    assert found.digest == pictures.of_folder(case.prepared.plan.judging.images, 0).digest
    assert found.work == "1 of 2 layers in int8, 50% of the time"
    assert found.cpu_units
    assert case.backend.text == "folder images: 32 of [1, 3, 32, 32]"


def test_what_changes_many_answers_is_over_its_budget_and_may_still_be_timed(opened):
    class Rough(Coarse):
        @staticmethod
        def spoil(logits, call):
            return logits + torch.eye(10)[:1] * 18

    case = opened(Rough)
    agreement = case.check(1)
    assert (agreement.verdict, agreement.agrees, case.reduced.status) == (OVER, True, OVER)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda logits, call: logits * torch.nan, "NaN"),
        (lambda logits, call: logits[:, :9], "shape"),
        (lambda logits, call: torch.arange(10.0)[None], "the output is the same for all"),
        (lambda logits, call: logits * 0.5, "SQNR of the logits is 6.0 dB"),
    ],
)
def test_a_fault_is_a_wrong_answer_and_not_a_matter_of_budgets(opened, spoil, words):
    kind = type("Faulty", (Coarse,), {"spoil": staticmethod(spoil)})
    case = opened(kind)
    agreement = case.check(1)
    assert not agreement.agrees
    assert words in agreement.reason
    assert case.reduced is None


def test_random_weights_are_no_ground_for_a_verdict(opened):
    case = opened(model=replace(MODEL, weights="random"))
    agreement = case.check(1)
    assert (agreement.verdict, agreement.agrees) == (NOT_JUDGED, True)
    assert "random weights" in agreement.reason
    assert (case.reduced.digest, case.reduced.images) == (None, 0)
    assert case.backend.text == "seeded inputs: 32 of [1, 3, 32, 32]"
    faulty = type("Faulty", (Coarse,), {"spoil": staticmethod(lambda logits, call: logits / 0)})
    assert not opened(faulty, replace(MODEL, weights="random")).check(1).agrees


def test_without_images_nothing_is_claimed_and_how_to_get_some_is_said(opened, monkeypatch):
    monkeypatch.setattr(pictures, "photographs", lambda: None)
    pictures.of_packages.cache_clear()
    agreement = opened(judging=Judging()).check(1)
    assert agreement.verdict == NOT_JUDGED
    assert "give --images FOLDER, or pip install" in agreement.reason


def test_a_model_that_takes_no_photos_is_calibrated_with_its_own_inputs(opened):
    def inputs(count, seed):
        return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))

    case = opened(model=replace(MODEL, inputs=inputs))
    assert case.check(1).verdict == NOT_JUDGED
    assert "seeded inputs" in case.backend.text


def test_batches_are_of_the_runs_size_and_a_rest_is_left_out(opened):
    case = opened(batch_size=5)
    assert case.check(5).inputs == 5
    assert (case.reduced.images, case.reduced.calibrated_with) == (30, 30)
    assert case.backend.text == "folder images: 6 of [5, 3, 32, 32]"


def test_labels_give_the_change_of_accuracy(opened, images):
    (images / "labels.csv").write_text("".join(f"{number}.png,1\n" for number in range(64)))
    pictures.of_folder.cache_clear()
    case = opened()
    case.check(1)
    found = case.reduced
    assert (found.labelled, found.gained, found.lost) == (32, 0, 0)
    assert found.change_low < 0 < found.change_high


def test_a_timed_call_must_give_the_answer_that_was_judged(opened):
    class Drifting(Coarse):
        @staticmethod
        def spoil(logits, call):
            return logits * (1.5 if call > 50 else 1)

    case = opened(Drifting)
    assert case.check(1).verdict == WITHIN
    timing = case.timing(Protocol(max_seconds=0.2, min_rounds=50))
    measure_interleaved([timing])
    with pytest.raises(WrongAnswer, match=r"different in a timed call: .* dB from the answer"):
        timing.result()


def test_the_verdict_is_in_the_record_of_a_timed_case(opened):
    case = opened()
    agreement = case.check(1)
    timing = case.timing(Protocol(max_seconds=0.01, min_rounds=2))
    measure_interleaved([timing])
    record = describe(case, agreement, timing.result(), (), 1)
    assert record.reduced == case.reduced
    assert record.check.verdict == WITHIN


def test_the_pictures_are_prepared_as_the_model_wants_them(opened):
    case = opened()
    first = next(iter(case.prepared.reduced_precision.calibration.batches()))[0]
    path = pictures.of_folder(case.prepared.plan.judging.images, 0).calibration[0].path
    expected = MODEL.preprocessing()(Image.open(path).convert("RGB"))
    assert torch.equal(first[0], expected)
    assert reduced_precision.SEEDED_INPUTS == 32


def test_an_earlier_verdict_counts_only_with_the_same_images_and_budget(opened, images):
    case = opened()
    case.check(1)
    found, judging = case.reduced, case.prepared.plan.judging
    assert judging.made(found, 0)
    assert not judging.made(found, 1), "another division"
    assert not replace(judging, budget=Budget()).made(found, 0)
    (images / "0.png").unlink()
    pictures.of_folder.cache_clear()
    assert not judging.made(found, 0)
    seeded = replace(found, digest=None)
    assert not judging.made(seeded, 0)
    assert replace(judging, images=None).made(seeded, 0)
