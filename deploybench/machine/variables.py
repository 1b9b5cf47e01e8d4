"""The environment variables that change how fast, or what, a process calculates.

They are the same in every process of a run, and each one that is set is a condition of the run.
Imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

PREFIXES = (
    # threads
    *("OMP_", "GOMP_", "KMP_", "LIBOMP_", "TBB_"),
    # mathematical libraries
    *(
        "MKL_",
        "MKLDNN_",
        "DNNL_",
        "ONEDNN_",
        "ZENDNN_",
        "OPENBLAS_",
        "GOTO_",
        "BLIS_",
        "VECLIB_",
        "XNNPACK_",
        "FBGEMM_",
    ),
    # memory
    *("MALLOC_", "TCMALLOC_", "JE_MALLOC_", "_RJEM_MALLOC_", "MIMALLOC_"),
    # torch
    *("ATEN_", "TORCH", "PYTORCH_", "C10_", "AOTI_", "AOT_INDUCTOR_", "TRITON_"),
    # other runtimes
    *("OPENVINO_", "OV_", "ORT_", "ONNXRUNTIME_"),
    # GPUs
    *("CUDA_", "CUBLAS_", "CUBLASLT_", "CUDNN_", "CUTLASS_", "HIP_", "HSA_", "MIOPEN_"),
    *("ROCBLAS_", "HIPBLASLT_"),
)
NAMES = (
    # the C library and its loader
    *("GLIBC_TUNABLES", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "LD_BIND_NOW"),
    *("NVIDIA_TF32_OVERRIDE", "LRU_CACHE_CAPACITY", "THP_MEM_ALLOC_ENABLE"),
    # Python
    *("PYTHONMALLOC", "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONOPTIMIZE", "PYTHON_JIT"),
    *("PYTHON_GIL", "PYTHON_CPU_COUNT", "PYTHONPERFSUPPORT", "PYTHON_PERF_JIT_SUPPORT"),
)
# These have such a prefix, but name places and versions, choose a device (which has conditions of
# its own), or only print.
HARMLESS_ENDINGS = ("_VERSION", "_HOME", "_PATH", "_ROOT", "_DIR", "_ARCH_LIST", "_PATHS")
HARMLESS = (
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    *("OMP_DISPLAY_ENV", "OMP_DISPLAY_AFFINITY", "KMP_SETTINGS", "KMP_WARNINGS", "KMP_VERSION"),
    # Every process of a run has it on; see native/ and backends/aoti.py.
    "AOTI_RUNTIME_CHECK_INPUTS",
    # Likewise; see formats/onnx.py.
    "ORT_DISABLE_TELEMETRY",
)
# What libraries set themselves in the process that imports them, as (name, value).
SET_BY_LIBRARIES = (
    ("CUDA_MODULE_LOADING", "LAZY"),  # torch
    *(("KMP_DUPLICATE_LIB_OK", "True"), ("KMP_INIT_AT_FORK", "FALSE")),  # scikit-learn
)


def counts(name: str) -> bool:
    """Whether a variable of this name changes speed or numbers."""
    if name in HARMLESS or (name.endswith(HARMLESS_ENDINGS) and name not in NAMES):
        return False
    return passed(name)


def passed(name: str) -> bool:
    """Whether a process of a run gets this variable: one that counts, or is like them."""
    return name.startswith(PREFIXES) or name in NAMES


def in_force(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that count and are set, by name; None: of this process.

    Bytes that are no text are escaped.
    """
    given = os.environ if environment is None else environment
    return {
        name: os.fsencode(value).decode("utf-8", "backslashreplace")
        for name, value in sorted(given.items())
        if value and counts(name) and (name, value) not in SET_BY_LIBRARIES
    }
