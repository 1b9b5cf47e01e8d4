"""The least time that a model can take, and how far each cell is from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from deploybench import settings
from deploybench.analysis import roofline_bound
from deploybench.backends.session import InProcessSession
from deploybench.errors import FileError
from deploybench.models import torchvision_zoo
from deploybench.models.state_digest import state_digest
from deploybench.records.record import CaseRecord, Peak, RunRecord
from deploybench.timing import roofline

PEAK = Peak(flops_per_second=1e12, bytes_per_second=1e10)


def run(milliseconds, flops, weight_bytes, peak=PEAK, **fingerprint):
    work = {"flops": flops, "weight_bytes": weight_bytes}
    cases = tuple(
        CaseRecord("resnet18", title, title, order, (figure / 1e3,), **work)
        for order, (title, figure) in enumerate(milliseconds.items())
    )
    return RunRecord(Path("run"), fingerprint, cases, peak=peak)


def test_the_longer_of_two_times_bounds_a_model():
    # 2 ms of arithmetic, 3 ms of reading.
    (_, row) = roofline_bound.to_rows([run({"PyTorch": 12.0, "C++": 6.0}, 2e9, 3e7)])
    assert row == ["resnet18", "3.00", "weights", "4.00", "2.00"]
    (_, row) = roofline_bound.to_rows([run({"PyTorch": 12.0}, 4e9, 3e7)])
    assert row == ["resnet18", "4.00", "arithmetic", "3.00"]


def test_conditions_have_rows_of_their_own_and_runs_of_one_are_pooled():
    rows = roofline_bound.to_rows(
        [
            run({"PyTorch": 10.0}, 1e9, 0.1, batch_size=1),
            run({"PyTorch": 12.0}, 1e9, 0.1, batch_size=1),
            run({"C++": 80.0}, 8e9, 0.1, batch_size=8),
        ]
    )
    assert rows == [
        ["Model", "Floor (ms)", "Bound by", "PyTorch", "C++"],
        ["resnet18 [batch_size=1]", "1.00", "arithmetic", "11.00", "-"],
        ["resnet18 [batch_size=8]", "8.00", "arithmetic", "-", "10.00"],
    ]


def test_a_cell_of_a_disturbed_run_is_marked():
    first = run({"PyTorch": 12.0, "C++": 6.0}, 2e9, 3e7)
    eager, cpp = first.cases
    disturbed = replace(cpp, disturbed=("steal",))
    (_, row) = roofline_bound.to_rows([first, replace(first, cases=(eager, disturbed))])
    assert row[3:] == ["4.00", "2.00*"]


@pytest.mark.parametrize(
    "given", [run({"PyTorch": 1.0}, None, 1), run({"A": 1.0}, 1, 1, peak=None)]
)
def test_a_run_without_rates_has_no_floor(given):
    with pytest.raises(FileError, match="no run has the rates of its device"):
        roofline_bound.to_rows([given])


def work(name, batch_size=1, dtype=torch.float32):
    size = torchvision_zoo.input_size(name)
    batch = torch.empty(batch_size, 3, size, size, dtype=dtype)
    return roofline.work(torchvision_zoo.build(name).to(dtype), (batch,))


def test_work_is_counted_as_on_paper():
    # A convolution of k x k from a to b channels over n places takes 2 k k a b n; resnet18's sum is
    # 1.814e9 multiplications and additions, and it has 11.69e6 parameters.
    once = work("resnet18")
    assert once.flops == pytest.approx(2 * 1.814e9, rel=1e-3)
    assert once.weight_bytes == pytest.approx(4 * 11.70e6, rel=1e-2)
    twice = work("resnet18", 2, torch.float16)
    assert twice.flops == 2 * once.flops
    assert twice.weight_bytes == pytest.approx(once.weight_bytes / 2, rel=1e-4)


def test_to_count_leaves_the_module_as_it_was():
    module = torchvision_zoo.build("resnet18")
    before = state_digest(module)
    roofline.work(module, (torch.empty(1, 3, 224, 224),))
    assert state_digest(module) == before


def test_a_model_that_reads_numbers_while_it_is_built_can_be_counted():
    # regnet_y_400mf: 0.40e9 multiplications and additions by torchvision's table.
    assert work("regnet_y_400mf").flops == pytest.approx(2 * 0.402e9, rel=1e-2)


def test_attention_is_counted():
    # vit_b_16: 17.56e9 multiplications and additions by its authors' count, which leaves out the
    # products of queries, keys and values.
    assert work("vit_b_16").flops > 2 * 17.5e9


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "densenet121", "googlenet"])
def test_to_leave_batch_norms_out_changes_no_count(name):
    module, batch = (
        torchvision_zoo.build(name).to("meta"),
        torch.empty(1, 3, 224, 224, device="meta"),
    )
    with FlopCounterMode(display=False) as counter:
        module(batch)
    assert work(name).flops == counter.get_total_flops()


@pytest.mark.parametrize(("seconds", "calls"), [(0.001, 6), (0.05, 5), (0.12, 3), (1.0, 2)])
def test_the_longer_a_call_the_fewer_are_measured(monkeypatch, seconds, calls):
    made = []
    monkeypatch.setattr(
        InProcessSession, "timed", lambda _, count: made.extend(count * [9.0]) or count * [seconds]
    )
    least = roofline._least_seconds(torch.neg, torch.ones(1), settings.resolve("cpu"))
    assert (least, len(made)) == (seconds, calls)


def test_a_device_has_rates(monkeypatch):
    monkeypatch.setattr(roofline, "MATRIX", {False: 64})
    monkeypatch.setattr(roofline, "IMAGES", {False: 1})
    monkeypatch.setattr(roofline, "COPY", {False: 2**16})
    peak = roofline.peak(settings.resolve("cpu"))
    assert 1e6 < peak.flops_per_second < 1e16
    assert 1e6 < peak.bytes_per_second < 1e14


@pytest.mark.parametrize(("seconds", "largest"), [(1.0, 4), (1e-3, 64)])
def test_work_grows_until_it_takes_long_enough(monkeypatch, seconds, largest):
    # In float16 some processors take minutes for what others do in a tenth of a second.
    shapes = []
    monkeypatch.setattr(roofline, "MATRIX", {False: 64})
    monkeypatch.setattr(roofline, "COPY", {False: 2**16})
    monkeypatch.setattr(
        roofline, "_least_seconds", lambda call, given, _: shapes.append(given.shape) or seconds
    )
    peak = roofline.peak(settings.resolve("cpu"))
    products = [shape for shape in shapes if len(shape) == 2]
    assert (products[0], products[-1]) == ((4, 4), (largest, largest))
    convolutions = [shape for shape in shapes if len(shape) == 4]
    assert (len(convolutions) == 1) == (len(products) == 1)
    assert peak.flops_per_second >= 2 * largest**3 / seconds


def test_the_second_time_only_what_was_fastest_is_measured_and_the_better_rates_count(monkeypatch):
    shapes, seconds = [], [1.0]
    monkeypatch.setattr(roofline, "MATRIX", {False: 64})
    monkeypatch.setattr(roofline, "COPY", {False: 2**16})
    monkeypatch.setattr(
        roofline, "_least_seconds", lambda call, given, _: shapes.append(given.shape) or seconds[0]
    )
    first = roofline.peak(settings.resolve("cpu"))
    assert first.fastest == ("convolution", 4)
    shapes.clear()
    seconds[0] = 0.5
    second = roofline.peak(settings.resolve("cpu"), first)
    assert [len(shape) for shape in shapes] == [4, 1]
    assert second.flops_per_second == 2 * first.flops_per_second
    assert second.bytes_per_second == 2 * first.bytes_per_second
    seconds[0] = 3.0
    assert roofline.peak(settings.resolve("cpu"), second) == second


def test_a_device_that_cannot_has_no_rates(monkeypatch):
    def no_room(*_):
        raise torch.OutOfMemoryError("no room for 1 GiB")

    monkeypatch.setattr(roofline, "_least_seconds", no_room)
    assert roofline.peak(settings.resolve("cpu")) is None
    before = roofline.Peak(2.0, 4.0, ("product", 1))
    assert roofline.peak(settings.resolve("cpu"), before) == before
