"""Tensors in any nesting of tuples, lists and dicts."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import pytest
import torch

from deploybench.nested import concatenate, flatten, map_tensors

Pair = namedtuple("Pair", ["logits", "aux"])
ONE, TWO = torch.ones(2, 3), torch.zeros(2)


def paths(value) -> list[str]:
    return list(flatten(value))


def test_each_tensor_has_a_path_in_order():
    assert paths(ONE) == [""]
    assert paths((ONE, [TWO, ONE])) == ["0", "1.0", "1.1"]
    assert paths({"out": ONE, "aux": {"low": TWO}}) == ["out", "aux.low"]
    assert paths(Pair(ONE, TWO)) == ["logits", "aux"]
    assert paths([{"boxes": ONE}, {"boxes": TWO}]) == ["0.boxes", "1.boxes"]


@pytest.mark.parametrize("value", [1.0, None, "text", (ONE, None), {"out": 3}])
def test_what_is_not_a_tensor_is_named_with_its_place(value):
    with pytest.raises(TypeError, match="not a tensor"):
        flatten(value)


def test_mapping_keeps_the_nesting():
    mapped = map_tensors(lambda tensor: tensor + 1, OrderedDict(out=(ONE, [TWO])))
    assert torch.equal(mapped["out"][0], ONE + 1)
    assert torch.equal(mapped["out"][1][0], TWO + 1)
    assert isinstance(mapped["out"], tuple)
    assert isinstance(mapped["out"][1], list)


def test_outputs_of_batches_are_joined_part_by_part():
    joined = concatenate([{"out": (ONE, TWO)}, {"out": (ONE, TWO)}])
    assert joined["out"][0].shape == (4, 3)
    assert joined["out"][1].shape == (4,)
    assert torch.equal(concatenate([ONE]), ONE)
