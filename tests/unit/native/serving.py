"""The C++ program spoken to in bytes: requests, the files that they name, and the replies."""

from __future__ import annotations

import subprocess
from pathlib import Path

import torch
from torch import Tensor

from tests.unit.native.scripted import Plain, save

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool)
DTYPES += (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class Server:
    """The program in its serving mode, spoken to in bytes."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [str(program), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: bytes) -> bytes:
        """The line that comes back; empty when the process has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(request + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class Picks(torch.nn.Module):
    """Two inputs, of which one holds whole numbers."""

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        return x.index_select(1, index)


def write_places(folder: Path) -> dict[str, str]:
    """Files that a request may name."""
    whole = save(Plain(), folder / "model.ts")
    save(Picks(), folder / "picks.ts")
    (folder / "short.ts").write_bytes(whole.read_bytes()[:700])
    (folder / "short.pt2").write_bytes(b"PK")
    values = torch.arange(12.0).numpy().tobytes()
    (folder / "input").write_bytes(values)
    (folder / "inputs").write_bytes(values + torch.tensor([11, 0]).numpy().tobytes())
    names = ("model.ts", "picks.ts", "short.ts", "short.pt2", "input", "inputs")
    names += ("written", "none", "none/none")
    return {name: str(folder / name) for name in names} | {"folder": str(folder)}


READY = ("configure\t{settings}", "load\t{model.ts}\tplain", "put\t{input}\tfloat32:1,12:0")
READY_TO_PICK = ("load\t{picks.ts}\tplain", "put\t{inputs}\tfloat32:1,12:0\tint64:2:index")
IN_FORCE = (
    "device=cpu\tthreads=1\tinterop_threads=1\tgrad_mode=inference\tcudnn_tf32=1\t"
    "matmul_precision=highest\tcudnn_benchmark=0\tcudnn_deterministic=0\tdtype=float32\t"
    "channels_last=0\tallocator=default\tcpu_mask="
)


def fill(request: str, places: dict[str, str]) -> bytes:
    """The request, with the placeholders in braces replaced."""
    for name, path in (places | {"settings": IN_FORCE}).items():
        request = request.replace("{" + name + "}", path)
    return request.encode()


def make_ready(server: Server, places: dict[str, str]) -> None:
    """Put the server where a request can be run."""
    for request in READY:
        assert server.ask(fill(request, places)).startswith(b"ok"), request
