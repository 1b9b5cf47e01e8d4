"""The backends in int8: what they write, what runs in 8 bits, and what they refuse."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from deploybench import backends, settings
from deploybench.backends._onnx_runtime import work_of
from deploybench.backends.base import ReducedWork
from deploybench.errors import BackendUnavailable
from deploybench.formats import onnx_int8
from deploybench.formats.base import Calibration
from deploybench.machine import processor
from deploybench.tasks import fidelity

IN_FLOAT = {
    "onnxruntime-int8": "onnxruntime",
    "onnxruntime-int8-cpp": "onnxruntime",
    "openvino-int8": "onnxruntime",
    "openvino-int8-cpp": "onnxruntime",
    "inductor-int8": "exported",
    "executorch-int8": "executorch",
    "executorch-int8-cpp": "executorch",
}
"""The backend that writes a float32 file, which each can run too."""
NAMES = tuple(IN_FLOAT)
MARKS = {
    "inductor-int8": [pytest.mark.slow],
    "executorch-int8": [pytest.mark.sweep],
    "executorch-int8-cpp": [pytest.mark.sweep],
}
UNTIMED = ("executorch-int8", "executorch-int8-cpp")
"""Those whose runtime reports no time of a layer."""
CPU = settings.resolve("cpu", threads=1)


class Small(torch.nn.Module):
    """Two convolutions and a head."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            *(torch.nn.Conv2d(3, 16, 3, stride=2), torch.nn.BatchNorm2d(16), torch.nn.ReLU()),
            *(torch.nn.Conv2d(16, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)),
            *(torch.nn.Flatten(), torch.nn.Linear(16, 20)),
        )

    def forward(self, batch):
        return self.layers(batch)


def backend(name: str):
    made = backends.registry()[name](CPU)
    for package in made.packages():
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: make setup-all")
    return made


@pytest.mark.parametrize("name", [pytest.param(each, marks=MARKS.get(each, [])) for each in NAMES])
def test_every_layer_runs_in_int8_and_most_of_the_signal_is_left(name, tmp_path, capfd):
    made, module = backend(name), Small().eval()
    made.require()
    batches = [(torch.randn(1, 3, 32, 32),) for _ in range(9)]
    path = tmp_path / made.format.suffix
    given = Calibration(lambda: iter(batches[:6]), 6, "noise")
    try:
        with torch.no_grad():
            assert made.export(module, batches[0], path, given) is None
            assert list(tmp_path.iterdir()) == [path]
            session = made.load(module, path)
            found = torch.cat([session.predict(batch) for batch in batches[6:]])
            eager = torch.cat([module(*batch) for batch in batches[6:]])
        assert 12 < fidelity.sqnr_db(found.double().numpy(), eager.double().numpy()) < 60
        work = made.reduced_work(path, batches[0])
        assert (work.layers, work.reduced) == (3, 3)
        assert name in UNTIMED or 0 < work.time_share < 1
        # The same layers of the float32 file are no int8.
        plain = backends.registry()[IN_FLOAT[name]](CPU)
        plain.export(module, batches[0], tmp_path / plain.format.suffix)
        assert made.reduced_work(tmp_path / plain.format.suffix, batches[0]).reduced == 0
        session.close()
    finally:
        made.close()
    written = capfd.readouterr()
    assert "Statistics" not in written.out + written.err, "no progress of the quantiser"


@pytest.mark.parametrize("name", NAMES)
def test_without_inputs_to_calibrate_with_there_is_no_file(name, tmp_path):
    made = backends.registry()[name](CPU)
    with pytest.raises(NotImplementedError, match="calibrate"):
        made.export(Small(), (torch.zeros(1),), tmp_path / "x")


@pytest.mark.parametrize("name", NAMES)
def test_on_a_gpu_they_are_unavailable(name, monkeypatch):
    made = backend(name)
    monkeypatch.setattr(type(made.settings), "on_cuda", property(lambda self: True))
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"], raising=False
    )
    with pytest.raises(BackendUnavailable, match="run with --device cpu"):
        made.require()


def event(name: str, kind: str, duration: int) -> dict:
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "dur": duration,
        "args": {"op_name": kind},
    }


def test_the_share_in_int8_is_that_of_the_profile():
    first = [event("a", "QLinearConv", 30), event("b", "FusedConv", 50), event("c", "Relu", 5)]
    second = [event("a", "QLinearConv", 50), event("d", "QGemm", 10), event("e", "MatMul", 55)]
    others = [{"cat": "Session", "name": "model_run", "dur": 999}, {"cat": "Node", "name": "x"}]
    found = work_of([*first, *second, *others])
    assert (found.layers, found.reduced, found.time_share) == (4, 2, pytest.approx(0.45))
    assert work_of([]) == ReducedWork(0, 0, None)


@pytest.mark.parametrize(
    ("cpuinfo", "units"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni amx_int8\n", "amx_int8 avx512_vnni"),
        ("flags\t: fpu avx2\n", "none"),
        ("processor : 0\nFeatures\t: fp asimd asimddp i8mm\n", "asimddp i8mm"),
        ("", "unknown"),
    ],
)
def test_what_the_processor_has_for_it(cpuinfo, units, tmp_path):
    from deploybench.machine.finding import Place

    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(cpuinfo)
    assert processor.reduced_precision_units(Place(root=tmp_path)) == units


@pytest.mark.parametrize(
    ("units", "reduced"), [("avx512_vnni", False), ("none", True), ("amx_int8", False)]
)
def test_without_vnni_weights_get_seven_bits(units, reduced, tmp_path, monkeypatch):
    made = backend("onnxruntime-int8")
    import onnxruntime.quantization as quantization
    import onnxruntime.quantization.shape_inference as preparing

    asked = {}

    def quantize_static(prepared, path, reader, **options):
        asked.update(options, first=reader.get_next(), second=reader.get_next())
        Path(path).touch()

    monkeypatch.setattr(quantization, "quantize_static", quantize_static)
    monkeypatch.setattr(preparing, "quant_pre_process", lambda *_: None)
    monkeypatch.setattr(onnx_int8.OnnxFile, "export", lambda *_: None)
    monkeypatch.setattr(onnx_int8, "input_names", lambda _: ["x"])
    monkeypatch.setattr(processor, "reduced_precision_units", lambda: units)
    batch = (torch.ones(1, 2),)
    given = Calibration(lambda: iter([batch]), 1, "ones")
    made.export(Small(), batch, tmp_path / "x", given)
    assert (asked["reduce_range"], asked["per_channel"]) == (reduced, True)
    assert (asked["first"]["x"] == 1).all()
    assert asked["second"] is None
