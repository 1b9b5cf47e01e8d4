from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from deploybench.models import state_digest as subject
from deploybench.models.state_digest import state_digest
from tests.unit.gpu import needs_gpu


class Net(nn.Module):
    """A module that keeps tensors in every place that one can be kept in."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.conv = nn.Conv2d(3, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.drop = nn.Dropout(0.5)
        self.plain = torch.arange(4.0)
        self.ones = torch.ones(2, 2)
        self.nested = {"list": [torch.ones(2), (torch.ones(3),)]}
        self.register_buffer("unsaved", torch.ones(2), persistent=False)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


def negate_all(net):
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.neg_()


def negate_two(net):
    # In one 64-bit word each, where sums of products modulo 2**64 lose both.
    net.first.weight.data.view(-1)[[1, 3]] *= -1


def swap_elements(net):
    weight = net.first.weight.data.view(-1)
    weight[[0, 7]] = weight[[7, 0]]


def swap_tensors(net):
    net.first.weight.data, net.second.weight.data = net.second.weight.data, net.first.weight.data


def swap_modules(net):
    net.first, net.second = net.second, net.first


def last_bit(net):
    net.second.weight.data.view(torch.int32)[-1, -1] ^= 1


def lay_out_again(net):
    net.conv.to(memory_format=torch.channels_last)


def reshape(net):
    net.first.weight = nn.Parameter(net.first.weight.data.reshape(2, 8))


def fuse_in_place(net):
    net.norm = nn.Identity()


def rename(net):
    net.other_name = net.drop
    del net.drop


def set_dropout(net):
    net.drop.p = 0.1


CHANGES = {
    "the last bit of one element": last_bit,
    "the sign of every parameter": negate_all,
    "the sign of two elements": negate_two,
    "a zero's sign": lambda net: net.norm.running_mean.neg_(),
    "two elements of a tensor swapped": swap_elements,
    "two tensors swapped": swap_tensors,
    "two modules swapped": swap_modules,
    "a buffer": lambda net: net.norm.running_var.mul_(1.5),
    "an integer buffer": lambda net: net.norm.num_batches_tracked.add_(1),
    "a buffer that is not saved": lambda net: net.unsaved.add_(1),
    "a plain tensor attribute": lambda net: net.plain.add_(1),
    "a tensor in a list in a dict": lambda net: net.nested["list"][0].add_(1),
    "a tensor in a tuple": lambda net: net.nested["list"][1][0].add_(1),
    "the dtype of the whole": lambda net: net.half(),
    "the dtype of a tensor without a change of its bytes": lambda net: setattr(
        net, "plain", net.plain.view(torch.int32)
    ),
    "a tensor's shape": reshape,
    "the layout in memory": lay_out_again,
    "the layout of equal numbers": lambda net: setattr(net, "ones", net.ones.t()),
    "a tensor more": lambda net: setattr(net, "cache", torch.zeros(0)),
    "a parameter less": lambda net: setattr(net.first, "bias", None),
    "a parameter that became a buffer": lambda net: net.first.register_buffer(
        "bias", net.first._parameters.pop("bias").data
    ),
    "a module replaced by one without tensors": fuse_in_place,
    "a module without tensors by another name": rename,
    "the training flag of a submodule": lambda net: net.norm.train(),
    "a setting that the module prints": set_dropout,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_state_changes_the_digest(net, change):
    before = state_digest(net)
    change(net)
    assert state_digest(net) != before


def test_equal_states_have_equal_digests(net):
    net.conv.to(memory_format=torch.channels_last)
    assert state_digest(copy.deepcopy(net)) == state_digest(net)


def test_calls_gradients_and_the_order_of_attributes_do_not_count(net):
    before = state_digest(net)
    net.first(torch.ones(4)).sum().backward()
    net.first._parameters["weight"] = net.first._parameters.pop("weight")
    net.requires_grad_(False)
    assert state_digest(net) == before


def test_a_way_there_and_back_through_float64_leaves_the_digest(net):
    before = state_digest(net)
    net.double()
    assert state_digest(net) != before
    assert state_digest(net.float()) == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_element_of_every_dtype_counts(dtype):
    tensor = torch.ones(3, 5, dtype=dtype)
    module = nn.Module()
    module.register_buffer("tensor", tensor)
    digests = {state_digest(module)}
    for element in tensor.view(-1):
        element.neg_()
        digests.add(state_digest(module))
    assert len(digests) == 1 + tensor.numel()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_the_digest_does_not_depend_on_the_threads(net, threads, monkeypatch):
    monkeypatch.setattr(subject, "BLOCK_BYTES", 16)
    expected = state_digest(net)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert state_digest(net) == expected


def test_every_block_of_a_tensor_counts_at_its_place(monkeypatch):
    monkeypatch.setattr(subject, "BLOCK_BYTES", 16)
    module = nn.Module()
    module.tensor = torch.arange(12.0)
    digests = {state_digest(module)}
    for block in range(3):
        module.tensor = torch.arange(12.0)
        module.tensor[4 * block] += 1
        digests.add(state_digest(module))
    module.tensor = torch.cat([torch.arange(4.0, 8.0), torch.arange(4.0), torch.arange(8.0, 12.0)])
    digests.add(state_digest(module))
    assert len(digests) == 5


def test_a_tensor_with_gaps_in_memory_and_one_number_seen_many_times_can_be_digested():
    module = nn.Module()
    module.gaps, module.one = torch.arange(10.0)[::2], torch.ones(1).expand(4)
    before = state_digest(module)
    module.gaps[4] += 1
    assert state_digest(module) != before


@needs_gpu
def test_a_module_on_a_gpu_has_a_digest_that_changes(net):
    net = net.cuda()
    before = state_digest(net)
    last_bit(net)
    assert state_digest(net) != before
