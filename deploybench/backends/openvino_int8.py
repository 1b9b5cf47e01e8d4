"""OpenVINO in int8: the model as ONNX, quantised by NNCF, on the CPU."""

from __future__ import annotations

from ._openvino import OpenVinoInPython, QuantisedByNncf


class OpenVinoInt8(QuantisedByNncf, OpenVinoInPython):
    """Post-training quantisation by NNCF, as OpenVINO's documentation describes it."""

    name = "openvino-int8"
    title = "OpenVINO (int8)"
    order = 137
