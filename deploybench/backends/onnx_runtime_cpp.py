"""ONNX Runtime from C++: the ONNX file in a process without Python."""

from __future__ import annotations

from ..errors import BackendUnavailable
from ..formats.onnx import OnnxFile
from ..installation import require_packages
from ._cpp_process import InCppProcess


class OnnxRuntimeCpp(InCppProcess):
    """The file that the onnxruntime backend runs in Python, on a CPU, with the same options."""

    name = "onnxruntime-cpp"
    title = "ONNX Runtime (C++)"
    order = 125
    format = OnnxFile
    runtime = "onnxruntime"
    dtypes = ("float32", "float16")
    channels_last = False
    runtime_packages = ("onnxruntime",)

    def require(self) -> None:
        """Require the packages and a CPU, and build the library that the process opens."""
        from ..native.build import build_target
        from ..native.tools import package_folder

        require_packages(self.runtime_packages, "onnx")
        if self.settings.on_cuda:
            raise BackendUnavailable(
                "ONNX Runtime runs only on CPUs in the C++ process: run with --device cpu"
            )
        super().require()
        folder = package_folder("onnxruntime", "onnx") / "capi"
        library = next(iter(sorted(folder.glob("libonnxruntime.so*"))), None)
        if library is None:
            raise BackendUnavailable(
                f"{folder} has no libonnxruntime.so: install onnxruntime from PyPI's wheel"
            )
        build_target("onnxruntime_program", ONNXRUNTIME_LIBRARY=library)
