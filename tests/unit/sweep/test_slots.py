"""Slots share no core, have as many cores each, and a GPU's are near it."""

from __future__ import annotations

import pytest

from deploybench.errors import UsageError
from deploybench.machine import topology
from deploybench.machine.finding import Place
from deploybench.machine.topology import Gpu
from deploybench.sweep import slots

CORES = [frozenset({first, first + 8}) for first in range(8)]
"""Eight cores of two CPUs, as the kernel numbers them."""


def test_the_cpus_of_one_core_stay_together(tmp_path):
    for cpu in range(16):
        path = tmp_path / topology.SIBLINGS.format(cpu)
        path.parent.mkdir(parents=True)
        path.write_text(f"{cpu % 8},{cpu % 8 + 8}\n")
    assert topology.cores(Place(tmp_path, {}, frozenset(range(16)))) == CORES
    assert topology.cores(Place(tmp_path, {}, frozenset({1, 2, 9}))) == [{1, 9}, {2}]
    assert topology.cores(Place(tmp_path / "none", {}, frozenset({1, 2}))) == [{1}, {2}]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_slots_of_a_cpu_are_disjoint_and_alike(count):
    found = slots.of_cpu(CORES, count)
    sizes = {len(slot.cpus) for slot in found}
    assert len(found) == count
    assert sizes == {2 * (8 // count)}
    assert sum(len(slot.cpus) for slot in found) == len(frozenset().union(*(s.cpus for s in found)))


def test_more_slots_than_cores_are_refused():
    with pytest.raises(UsageError, match="--slots 9: this process may use 8 cores"):
        slots.of_cpu(CORES, 9)


def test_each_gpu_gets_cores_near_it():
    near = [frozenset({*range(4), *range(8, 12)}), frozenset({*range(4, 8), *range(12, 16)})]
    gpus = [Gpu(f"GPU-{index}", near[index % 2]) for index in range(4)]
    found = slots.of_gpus(CORES, gpus)
    assert [slot.gpu for slot in found] == ["GPU-0", "GPU-1", "GPU-2", "GPU-3"]
    assert all(slot.cpus <= gpu.near for slot, gpu in zip(found, gpus, strict=True))
    assert frozenset().union(*(slot.cpus for slot in found)) == frozenset(range(16))
    assert found[0].name == "GPU-0, CPUs 0-1,8-9"


def test_a_gpu_whose_node_is_unknown_gets_cores_as_well():
    found = slots.of_gpus(CORES, [Gpu("GPU-0", frozenset()), Gpu("GPU-1", frozenset())])
    assert [len(slot.cpus) for slot in found] == [8, 8]
    assert not found[0].cpus & found[1].cpus


@pytest.mark.parametrize(
    ("gpus", "words"),
    [([], "there is none"), ([Gpu(str(n), frozenset()) for n in range(9)], "only 8 cores")],
)
def test_a_machine_that_cannot_is_named(gpus, words):
    with pytest.raises(UsageError, match=words):
        slots.of_gpus(CORES, gpus)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [(None, "abc"), ("1", "b"), ("2,0", "ca"), ("b", "b"), ("", ""), ("7", "")],
)
def test_only_the_visible_gpus_count(variable, expected):
    gpus = [Gpu(each, frozenset()) for each in "abc"]
    assert [gpu.uuid for gpu in slots.visible(gpus, variable)] == list(expected)


def test_gpus_are_read_from_the_driver():
    class Nvml:
        def nvmlInit(self): ...
        def nvmlShutdown(self): ...
        def nvmlDeviceGetCount(self):
            return 2

        def nvmlDeviceGetHandleByIndex(self, index):
            return index

        def nvmlDeviceGetUUID(self, handle):
            return [b"GPU-x", "GPU-y"][handle]

        def nvmlDeviceGetCpuAffinity(self, handle, words):
            if handle:
                raise RuntimeError("not supported")
            return [0b101, 0b1] + [0] * (words - 2)

    assert topology.gpus(Nvml) == [
        Gpu("GPU-x", frozenset({0, 2, 64})),
        Gpu("GPU-y", frozenset()),
    ]
    assert topology.gpus(lambda: 1 / 0) == []
