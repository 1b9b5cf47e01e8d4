"""A fresh process up to its first answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendFailed
from deploybench.models import torchvision_zoo
from deploybench.runner import cold_start

MODEL = "squeezenet1_1"
ZOO_MODEL = torchvision_zoo.model(MODEL)


@pytest.fixture
def eager():
    return backends.registry()["eager"](settings.resolve("cpu", threads=1))


@pytest.mark.slow
def test_its_peak_of_memory_is_its_own_and_not_that_of_the_process_that_started_it(eager):
    ballast = np.ones(2 << 30, dtype=np.uint8)
    batch = (torch.zeros(1, 3, 224, 224),)
    started = cold_start.start(eager, ZOO_MODEL, ZOO_MODEL.built(), None, batch)
    assert started.seconds > 0
    assert started.peak_bytes is not None
    assert 100e6 < started.peak_bytes < ballast.nbytes


def test_one_that_gives_no_answer_says_why_in_its_last_words(eager):
    with pytest.raises(BackendFailed, match="a fresh process gave no answer; its last words: "):
        cold_start.start(
            eager,
            ZOO_MODEL,
            ZOO_MODEL.built(),
            None,
            (torch.zeros(1, 4, 224, 224),),
        )
