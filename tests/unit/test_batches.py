"""What a model's inputs become: tensors in order, checked once."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import pytest
import torch
from torch import Tensor, nn

from deploybench import batches
from deploybench.errors import UsageError

from .several_inputs import Sees

IMAGE, VECTOR = torch.randn(4, 1, 8, 8), torch.randn(4, 5)
Pair = namedtuple("Pair", ["image", "vector"])


def positional(given: object, module: nn.Module | None = None) -> batches.Batch:
    return batches.positional(given, module or Sees(), 4, "sees")


def equal(one: batches.Batch, *other: Tensor) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


@pytest.mark.parametrize(
    "given",
    [
        (IMAGE, VECTOR),
        Pair(IMAGE, VECTOR),
        {"image": IMAGE, "vector": VECTOR},
        OrderedDict(vector=VECTOR, image=IMAGE),
    ],
)
def test_inputs_are_in_the_order_of_forward(given):
    assert equal(positional(given), IMAGE, VECTOR)


def test_a_lone_tensor_is_a_batch_of_one():
    assert equal(positional(IMAGE), IMAGE)


class Optional(nn.Module):
    def forward(self, x: Tensor, mask: Tensor | None = None, *, bias: Tensor | None = None):
        return x


def test_parameters_that_follow_may_be_left_out():
    assert equal(positional({"x": IMAGE}, Optional()), IMAGE)


def test_what_needs_gradients_or_lies_apart_is_passed_on_plainly():
    given = torch.zeros(4, 1, requires_grad=True).expand(4, 3)
    (batch,) = positional(given)
    assert not batch.requires_grad
    assert batch.is_contiguous()


REMEDY = "return a tensor, a tuple or a dict of tensors, each with a leading dimension of `count`"


@pytest.mark.parametrize(
    ("given", "module", "words"),
    [
        ([IMAGE, VECTOR], Sees(), f"the inputs of sees are a list; {REMEDY}"),
        (None, Sees(), f"the inputs of sees are a NoneType; {REMEDY}"),
        ({}, Sees(), f"the inputs of sees are an empty dict; {REMEDY}"),
        ((), Sees(), f"the inputs of sees are an empty tuple; {REMEDY}"),
        (
            {"image": IMAGE.numpy(), "vector": VECTOR},
            Sees(),
            f"input 'image' of sees is a ndarray, not a tensor; {REMEDY}",
        ),
        (
            (IMAGE, [VECTOR]),
            Sees(),
            f"input '1' of sees is a list, not a tensor; {REMEDY}",
        ),
        (
            (IMAGE, torch.tensor(1.0)),
            Sees(),
            f"input '1' of sees is a single number without a batch dimension; {REMEDY}",
        ),
        (
            (IMAGE, VECTOR.to_sparse()),
            Sees(),
            "input '1' of sees is a sparse tensor, which cannot be passed on; make it dense",
        ),
        (
            (IMAGE, VECTOR[:3]),
            Sees(),
            f"the inputs of sees have different batch sizes (0 4, 1 3); {REMEDY}",
        ),
        (
            (IMAGE[:3], VECTOR[:3]),
            Sees(),
            f"4 inputs of sees were asked for and 3 were returned; {REMEDY}",
        ),
        (
            {"picture": IMAGE, "vector": VECTOR},
            Sees(),
            "forward of sees does not take the inputs picture, vector: missing a required "
            "argument: 'image'; name them as its parameters, or return a tuple",
        ),
        (
            {"x": IMAGE, "bias": VECTOR},
            Optional(),
            "forward of sees cannot take the inputs x, bias by position, because of bias; leave no "
            "parameter before them out, and let none be keyword-only",
        ),
    ],
)
def test_inputs_that_cannot_be_used_are_refused_in_one_line(given, module, words):
    with pytest.raises(UsageError) as caught:
        positional(given, module)
    assert str(caught.value) == words


def test_rows_and_parts_are_of_every_input():
    batch = (IMAGE, VECTOR)
    assert batches.size(batch) == 4
    assert equal(batches.rows(batch, slice(1, 3)), IMAGE[1:3], VECTOR[1:3])
    parts = batches.split(batch, 3)
    assert [batches.size(part) for part in parts] == [3, 1]
    assert equal(parts[1], IMAGE[3:], VECTOR[3:])


def test_only_floating_point_is_converted_and_only_images_are_laid_out():
    frames, tokens = torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.zeros(4, 7).long()
    images = torch.randn(4, 3, 8, 8)
    batch = (images, VECTOR, frames, tokens)
    converted = batches.convert(batch, torch.bfloat16, channels_last=True)
    dtypes = [each.dtype for each in converted]
    assert dtypes == [torch.bfloat16, torch.bfloat16, torch.uint8, torch.int64]
    last = [each.is_contiguous(memory_format=torch.channels_last) for each in converted[::2]]
    assert last == [True, False]
    plain = batches.convert(batch, torch.float32)
    assert equal(plain, *batch)
    assert all(each.is_contiguous() for each in plain)


def test_two_batches_are_of_one_kind_if_shapes_and_dtypes_are_equal():
    batch = (IMAGE, VECTOR)
    assert batches.kinds(batch) == batches.kinds((IMAGE + 1, VECTOR + 1))
    assert batches.kinds(batch) != batches.kinds((IMAGE, VECTOR[:3]))
    assert batches.kinds(batch) != batches.kinds((IMAGE, VECTOR.double()))
    assert batches.kinds(batch) != batches.kinds((IMAGE,))


def test_a_copy_on_the_same_device_has_memory_of_its_own():
    (moved,) = batches.to_device((VECTOR,), "cpu", copy=True)
    assert moved.data_ptr() != VECTOR.data_ptr()
    assert torch.equal(moved, VECTOR)
