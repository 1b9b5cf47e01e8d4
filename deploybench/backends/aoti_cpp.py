"""AOTInductor from C++: the same package in a LibTorch process without Python."""

from __future__ import annotations

from ..formats.aotinductor import AotInductorPackage
from ._cpp_process import InCppProcess


class AotiCpp(InCppProcess):
    """The package that the aoti backend loads in Python."""

    name = "aoti-cpp"
    title = "AOTInductor (C++)"
    order = 110
    format = AotInductorPackage
    allocates_through_torch = False  # a package's weights come from CUDA itself
    as_graph = True
