"""Drives the C++ program as one long-lived process, with the line protocol of cpp/serve.cpp."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from torch import Tensor

from .. import processes
from ..errors import BackendFailed
from ..installation import CACHE_VARIABLE, rebuild_line
from ..machine import cpus, variables
from ..machine.known import known
from ..settings import Settings, require_in_force
from ..temporary import MEMORY, TemporaryFolder
from . import tensors
from .tools import is_noexec

PROTOCOL = "8"
# The environment variables that the process gets, beside those that change what and how fast it
# calculates: locations, and what chooses a GPU.
PASSED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")
PASSED_PREFIXES = ("LC_", "NVIDIA_")


class Runner:
    """One C++ process with `settings` in force.

    deadline: the time limit of a request in seconds. The constructor and every method raise
    BackendFailed if the process dies (with its exit signal or code and its last line of output),
    misses the deadline, or answers with an error or a fatal error. After anything but a plain
    error, it is no longer `alive`, and its owner starts another.
    """

    def __init__(self, program: Path, settings: Settings, deadline: float = 300.0) -> None:
        self._deadline = deadline
        self._on_cuda = settings.on_cuda
        self._temporary = TemporaryFolder(_memory_folder())
        self._folder = self._temporary.path
        self._errors = (self._folder / "stderr").open("w+b")
        self._unread = b""
        try:
            with cpus.released():
                self._process = subprocess.Popen(
                    [str(program), "serve"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    env=scrubbed_environment(),
                    start_new_session=True,
                )
        except OSError as error:
            self._remove_files()
            why = error.strerror
            if is_noexec(program.parent):
                why = f"its folder is mounted noexec; set {CACHE_VARIABLE} to another folder"
            raise BackendFailed(f"{program} cannot be started: {why}") from error
        try:
            self._greet()
            self._configure(settings)
        except BaseException:  # Ctrl-C too: nobody else knows of the process yet
            self.close()
            raise

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the process can handle another request."""
        return self._process.poll() is None and not self._errors.closed

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def load(self, path: Path, as_graph: bool = False, runtime: str = "openvino") -> None:
        """Load a TorchScript file, a package or an ONNX file; the previous model is unloaded.

        as_graph: capture the model in a CUDA graph at its first call. runtime: what runs an ONNX
        file, "openvino" or "onnxruntime".
        """
        self._request("load", str(path.resolve()), "graph" if as_graph else "plain", runtime)

    def peak_device_bytes(self) -> int:
        """The peak of bytes allocated on the device since `load` began; 0 on a CPU."""
        return int(self._request("memory")[0])

    def peak_resident_bytes(self) -> int | None:
        """The peak of the process's resident bytes since it started; None without a /proc."""
        return processes.peak_resident_bytes(self.pid)

    def unload(self) -> None:
        """Unload the model."""
        self._request("unload")

    def put(self, inputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor]) -> None:
        """Place tensors on the CPU as the inputs of the following calls.

        inputs: one tensor, several in order, or several by the names of the model's parameters.
        """
        file = self._folder / "input"
        self._request("put", str(file), *tensors.write(file, tensors.named(inputs)))

    def run(self, count: int) -> None:
        """Call the model `count` times, untimed."""
        self._request("run", str(count))

    def timed(self, count: int, what: str = "calls") -> list[float]:
        """Call the model `count` times; the seconds of each call by the process's own clock.

        what: "calls", or "copies" to include the transfers of input and output.
        """
        return self._samples(count, "time", str(count), what)

    def queued(self, count: int, what: str = "calls") -> float:
        """Call the model `count` times and synchronise once at the end; the total seconds."""
        return self._samples(1, "queue", str(count), what)[0]

    def device_timed(self, count: int) -> list[float]:
        """Call the model `count` times; the seconds of each by CUDA events, empty without CUDA."""
        if not self._on_cuda:
            return []
        return self._samples(count, "events", str(count))

    def rest(self) -> bool:
        """Wait until no other thread of the process runs; False if one does after half a second."""
        return self._request("rest") == ["1"]

    def _samples(self, due: int, *request: str) -> list[float]:
        file = self._folder / "samples"
        self._request(*request, str(file))
        samples = np.fromfile(file, dtype="<f8").tolist()
        if len(samples) != due:
            raise BackendFailed(f"the C++ process returned {len(samples)} samples instead of {due}")
        return samples

    def outputs(self) -> dict[str, Tensor]:
        """All tensors that the latest call returned, on the CPU, in order.

        Their names are paths of keys, fields and positions joined by dots, such as `0.boxes`; the
        name of a single tensor is empty.
        """
        file = self._folder / "output"
        return tensors.read(file, self._request("output", str(file)))

    def output(self) -> Tensor:
        """The first tensor that the latest call returned, on the CPU, such as logits."""
        return next(iter(self.outputs().values()))

    def close(self) -> None:
        """End the process and all that it started, and remove its files."""
        self._kill()
        self._remove_files()

    def _greet(self) -> None:
        about = dict(field.split("=", 1) for field in self._request("hello"))
        if about.get("protocol") != PROTOCOL:
            raise BackendFailed(
                f"the C++ program has protocol {about.get('protocol')}, but this version needs "
                f"{PROTOCOL}; build it again: {rebuild_line()}"
            )
        self.has_graphs = about.get("graphs") == "1"

    def _configure(self, settings: Settings) -> None:
        fields = {
            name: str(int(value) if isinstance(value, bool) else value)
            for name, value in asdict(settings).items()
        }
        reply = self._request("configure", *(f"{name}={text}" for name, text in fields.items()))
        got = dict(field.split("=", 1) for field in reply)
        if set(got) != set(fields):
            raise BackendFailed(f"the C++ process does not report its settings: {reply}")
        require_in_force(fields, got, "C++")

    def _request(self, *fields: str) -> list[str]:
        """Send one line; return the fields of the reply after `ok`."""
        if any(character in field for field in fields for character in "\t\n"):
            raise BackendFailed(f"a path with a tab or newline cannot be sent: {fields}")
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write("\t".join(fields).encode() + b"\n")
            stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._death(fields[0]) from None
        try:
            status, *reply = self._read_line(fields[0]).split("\t")
        except BackendFailed:
            raise
        except BaseException:
            # An alarm or Ctrl-C: the reply would be taken for that of the next request.
            self._kill()
            raise
        if status == "fatal":
            self._kill()
        if status in ("error", "fatal"):
            raise BackendFailed("; ".join(reply))
        if status != "ok":
            self._kill()
            raise BackendFailed(f"the C++ process answered '{status}' to '{fields[0]}'")
        return reply

    def _read_line(self, verb: str) -> str:
        stdout = self._process.stdout
        assert stdout is not None
        end = time.monotonic() + self._deadline
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, end - time.monotonic())):
                    self._kill()
                    raise BackendFailed(
                        f"the C++ process did not answer '{verb}' within {self._deadline:g} s and "
                        f"was ended; its last words: {self._last_words()}"
                    )
                chunk = os.read(stdout.fileno(), 65536)
                if not chunk:
                    raise self._death(verb)
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")

    def _death(self, verb: str) -> BackendFailed:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        self._kill()
        if code is None:
            how = "closed its output"
        elif code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        return BackendFailed(
            f"the C++ process {how} during '{verb}'; its last words: {self._last_words()}"
        )

    def _last_words(self) -> str:
        """The last line that the process wrote to its standard error."""
        if self._errors.closed:
            return "unknown"
        return _last_line(self._errors) or "none"

    def _kill(self) -> None:
        processes.kill_group(self._process)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # unsent bytes are lost
                    pipe.close()

    def _remove_files(self) -> None:
        self._errors.close()
        self._temporary.close()


def scrubbed_environment() -> dict[str, str]:
    """The variables of this process's environment that a C++ process may see."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in PASSED or name.startswith(PASSED_PREFIXES) or variables.passed(name)
    }


def _memory_folder() -> Path | None:
    """A folder in shared memory, to pass tensors without a disk; None for the default folder."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    free = known(lambda: shutil.disk_usage(MEMORY).free, 0)
    return MEMORY if usable and free > 2**28 else None


def _last_line(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2000))
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
