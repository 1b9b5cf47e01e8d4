"""Which runs are pooled, depending on what their cases ran on."""

from __future__ import annotations

import json

import pytest

from deploybench.analysis import table
from deploybench.records import store
from tests.unit import saved_runs

ONE, OTHER = "1d1d1d1d1d1d" + "0" * 52, "2f2f2f2f2f2f" + "0" * 52


@pytest.fixture
def save(tmp_path):
    """A function that saves a run whose models have these digests, and gives its path."""

    def save(name, **digests):
        document = saved_runs.document(
            {(model, "eager"): [0.001] for model in digests}, weights="state dicts"
        )
        for benchmark in document["benchmarks"]:
            digest = digests[benchmark["params"]["model"]]
            benchmark["extra_info"]["weights_digest"] = digest
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(document))
        return str(path)

    return save


def columns(*paths):
    return list(table.merge(store.load(paths)).columns)


def test_runs_with_the_same_weights_are_pooled(save):
    assert columns(save("a", resnet18=ONE), save("b", resnet18=ONE)) == ["PyTorch"]


@pytest.mark.parametrize(("other", "shown"), [(OTHER, "2f2f2f2f2f2f"), (None, "none")])
def test_runs_with_other_weights_of_a_model_are_not_pooled(save, other, shown):
    assert set(columns(save("a", resnet18=ONE), save("b", resnet18=other))) == {
        "PyTorch [weights of resnet18=1d1d1d1d1d1d]",
        f"PyTorch [weights of resnet18={shown}]",
    }


def test_weights_of_different_models_do_not_separate_runs(save):
    assert columns(save("a", resnet18=ONE), save("b", vgg11=OTHER)) == ["PyTorch"]


def test_weights_that_differ_between_two_sides_separate_them(save):
    sides = [[save("a", resnet18=ONE)], [save("b", resnet18=OTHER)]]
    (before,), (after,) = store.load_sides(sides)
    assert before.fingerprint["weights of resnet18"] == ONE[:12]
    assert after.fingerprint["weights of resnet18"] == OTHER[:12]
