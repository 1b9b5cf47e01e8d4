"""OpenVINO from C++: the ONNX file in a process that has no Python in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BackendUnavailable
from ._cpp_process import InCppProcess
from ._onnx import ARTIFACT, EXPORTER, require_packages, save_onnx

if TYPE_CHECKING:
    from torch import Tensor, nn


class OpenVinoCpp(InCppProcess):
    """The file that the openvino backend compiles in Python, with the same hints."""

    name = "openvino-cpp"
    title = "OpenVINO (C++)"
    order = 140
    artifact_name = ARTIFACT
    any_batch_size = False
    dtypes = ("float32",)
    channels_last = False
    packages = ("openvino", *EXPORTER)

    def require(self) -> None:
        """Find the packages, ask for a CPU, and build the library that the process opens."""
        from ..native.build import build_target, package_folder

        require_packages(self.packages)
        if self.settings.on_cuda:
            raise BackendUnavailable("OpenVINO is run on CPUs here: run with --device cpu")
        super().require()
        build_target("openvino_program", OPENVINO_DIR=package_folder("openvino"))

    def export(self, module: nn.Module, example: Tensor, path: Path) -> None:
        """Export `module` to `path`."""
        save_onnx(module, example, path)
