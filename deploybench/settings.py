"""What is set the same way in every process that runs a model, Python or C++."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The settings that decide how torch computes.

    Every backend applies all of them and reports what is then in force; a difference is an error.

    device: "cpu" or "cuda:N".
    threads: intra-op threads. interop_threads: inter-op threads.
    grad_mode: "inference" (torch.inference_mode in Python, c10::InferenceMode in C++).
    cudnn_tf32: TF32 allowed in cuDNN convolutions.
    matmul_precision: "highest", "high" or "medium", as torch.set_float32_matmul_precision takes it.
    cudnn_benchmark: cuDNN tries its algorithms out and keeps the fastest.
    cudnn_deterministic: only deterministic cuDNN algorithms.
    """

    device: str
    threads: int
    interop_threads: int
    grad_mode: str = "inference"
    cudnn_tf32: bool = True
    matmul_precision: str = "highest"
    cudnn_benchmark: bool = False
    cudnn_deterministic: bool = False
