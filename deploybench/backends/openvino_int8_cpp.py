"""OpenVINO in int8 from C++: the quantised file in a process without Python."""

from __future__ import annotations

from ._openvino import OpenVinoInCpp, QuantisedByNncf


class OpenVinoInt8Cpp(QuantisedByNncf, OpenVinoInCpp):
    """The file that the openvino-int8 backend compiles in Python, with the same hints."""

    name = "openvino-int8-cpp"
    title = "OpenVINO (int8, C++)"
    order = 147
