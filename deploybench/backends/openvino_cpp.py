"""OpenVINO from C++: the ONNX file in a process without Python."""

from __future__ import annotations

from ..formats.onnx import OnnxFile
from ._cpp_process import InCppProcess
from ._openvino import require_openvino


class OpenVinoCpp(InCppProcess):
    """The file that the openvino backend compiles in Python, with the same hints."""

    name = "openvino-cpp"
    title = "OpenVINO (C++)"
    order = 140
    format = OnnxFile
    dtypes = ("float32",)
    channels_last = False
    runtime_packages = ("openvino",)

    def require(self) -> None:
        """Require the packages and a CPU, and build the library that the process opens."""
        from ..native.build import build_target
        from ..native.tools import package_folder

        require_openvino(self.settings)
        super().require()
        build_target("openvino_program", OPENVINO_DIR=package_folder("openvino", "openvino"))
