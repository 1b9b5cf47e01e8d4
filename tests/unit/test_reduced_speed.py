"""validation/reduced_speed.py: the means beside the goals, from saved runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deploybench.records.record import CaseRecord, RunRecord
from deploybench.records.reduced import NOT_JUDGED, Reduced
from validation import reduced_speed

INT8 = Reduced("int8", NOT_JUDGED, "", "agreement>=0.99", cpu_units="avx512_vnni")
COLUMNS = {
    "eager": (True, None),
    "openvino-cpp": (False, None),
    "onnxruntime": (True, None),
    "int8": (True, INT8),
    "int8-cpp": (False, INT8),
}


def run(figures: dict[str, dict[str, float]], name: str = "run") -> RunRecord:
    cases = []
    for model, columns in figures.items():
        for backend, milliseconds in columns.items():
            needs_python, reduced = COLUMNS[backend]
            samples = tuple(milliseconds / 1e3 * factor for factor in (1, 1.01, 1.02, 1.03))
            case = CaseRecord(model, backend, backend.title(), 1, samples, turns=(2, 2))
            cases.append(replace(case, needs_python=needs_python, reduced=reduced))
    return RunRecord(Path(name), {"cpu": "some cpu", "threads": 2}, tuple(cases), identity=name)


FIGURES = {
    "a": {"eager": 16, "openvino-cpp": 4, "onnxruntime": 8, "int8": 2, "int8-cpp": 4},
    "b": {"eager": 16, "openvino-cpp": 8, "onnxruntime": 4, "int8": 8, "int8-cpp": 4},
}


def test_each_kind_has_its_mean_its_mark_and_its_goal():
    lines = reduced_speed.report([run(FIGURES)])
    assert "some cpu: units for 8 bits avx512_vnni, threads 2" in lines[0]
    text = "\n".join(lines)
    each, best = "the fastest column of each model", "the best column"
    # The square roots of 8 * 4, of 4 * 4, and of 4 * 2.
    assert f"{each}: 5.66 [NOT JUDGED] (5.66 to 5.66); goal 3.5: reached" in text
    assert f"{each}: 4.00 (4.00 to 4.00); goal 2.5: reached" in text
    assert f"{best}, Int8-Cpp: 4.00 [NOT JUDGED] (4.00 to 4.00); goal 3: reached" in text
    assert f"{best}, Onnxruntime: 2.83" in text or f"{best}, Openvino-Cpp: 2.83" in text


def test_models_can_be_left_out_and_a_kind_may_be_missing():
    slow = {model: {"eager": 16, "onnxruntime": 8} for model in ("vgg11", "resnet18")}
    (cut,) = reduced_speed.of_models([run(slow)], "vgg11")
    text = "\n".join(reduced_speed.report([cut]))
    assert "float32, 1 models" in text
    assert "2.00 (2.00 to 2.00); goal 2.5: not reached" in text
    assert "reduced precision: no column with eager beside it" in text
