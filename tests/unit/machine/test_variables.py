"""Variables that change speed or numbers reach every process, and are conditions of the run."""

from __future__ import annotations

import pytest

from deploybench.machine import variables
from deploybench.native.process import scrubbed_environment

COUNT = [
    "OMP_PROC_BIND",
    "KMP_AFFINITY",
    "GOMP_SPINCOUNT",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_DEFAULT_FPMATH_MODE",
    "OPENBLAS_CORETYPE",
    "MALLOC_ARENA_MAX",
    "MALLOC_CONF",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "ATEN_CPU_CAPABILITY",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCHINDUCTOR_FREEZING",
    "TORCHDYNAMO_DISABLE",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_NO_CUDA_MEMORY_CACHING",
    "CUDA_LAUNCH_BLOCKING",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDNN_LOGINFO_DBG",
    "NVIDIA_TF32_OVERRIDE",
    "OV_CPU_X",
    "ORT_X",
    "TRITON_INTERPRET",
    "LRU_CACHE_CAPACITY",
    "PYTHONMALLOC",
    "PYTHONPERFSUPPORT",
    "MKLDNN_VERBOSE",
    "TBB_X",
    "TCMALLOC_X",
]
DO_NOT = [
    "PATH",
    "HOME",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_VERSION",
    "CUDNN_VERSION",
    "TORCH_HOME",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
    "TORCH_CUDA_ARCH_LIST",
    "SECRET_TOKEN",
    "PYTHONPATH",
    "LANG",
    "AOTI_RUNTIME_CHECK_INPUTS",
    "ORT_DISABLE_TELEMETRY",
]


@pytest.mark.parametrize("name", COUNT)
def test_what_changes_speed_is_a_condition_and_reaches_every_process(monkeypatch, name):
    monkeypatch.setenv(name, "a value")
    assert variables.in_force()[name] == "a value"
    assert scrubbed_environment()[name] == "a value"
    monkeypatch.setenv(name, "")
    assert name not in variables.in_force()


@pytest.mark.parametrize("name", DO_NOT)
def test_what_names_places_versions_and_devices_is_no_condition(name):
    assert variables.in_force({name: "a value"}) == {}


def test_what_libraries_set_themselves_is_no_condition():
    assert variables.in_force({"CUDA_MODULE_LOADING": "LAZY"}) == {}
    assert variables.in_force({"CUDA_MODULE_LOADING": "EAGER"}) == {"CUDA_MODULE_LOADING": "EAGER"}


def test_bytes_that_are_no_text_are_escaped():
    assert variables.in_force({"OMP_X": "a\udcff"}) == {"OMP_X": "a\\xff"}
