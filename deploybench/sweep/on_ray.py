"""Runs jobs on the nodes of a Ray cluster. The processes that measure never import Ray."""

from __future__ import annotations

import os
import secrets
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from ..errors import UsageError, first_line
from ..files import replacing
from ..machine import topology
from . import node, slots
from .engine import Begun, Ended, unnoticed
from .job import Job
from .ledger import Entry
from .slots import Slot

RESOURCE = "deploybench_slot"
"""The custom resource of which a node offers one for each job that it can run at a time."""
LABEL = "deploybench-machine"
"""The label of a node that says what kind of machine it is."""
AHEAD = 4
"""How many jobs wait at the cluster for each that runs: enough to keep it busy, and the memory of
this process flat."""
SECONDS_TO_ANSWER = 10.0
TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
"""Each says how processes of a cluster know each other."""
INSTALL = "pip install 'deploybench[ray]'"


class OnRay:
    """Runs each job on a free slot of a cluster; see `engine.Engine`.

    folder: where the saved run of each job goes, as KEY.json. deadline: seconds for each job.
    command: what measures; a node's own Python replaces its first word. address: of the cluster,
    None to start one on this machine. machine: the label of the nodes to use; None for all. gpu:
    whether each job gets one. Raises UsageError for a cluster that cannot be reached, or has no
    slot.
    """

    _connected: ClassVar[OnRay | None] = None
    """Whose connection the process has: Ray allows one."""

    def __init__(
        self,
        folder: Path,
        deadline: float,
        command: Sequence[str],
        address: str | None = None,
        machine: str | None = None,
        gpu: bool = False,
    ) -> None:
        try:
            import ray
        except ImportError:
            raise UsageError(f"--on ray needs the package ray: {INSTALL}") from None
        self._ray: Any = ray
        self._folder = folder
        self._deadline = deadline
        self._command = list(command)
        self._machine = machine
        self._gpu = gpu
        self._address = address
        self._connect(address)
        self.width = self._slots()
        kind = f" of kind {machine}" if machine else ""
        self.where = f"{self.width} slots{kind} of the Ray cluster at {address or 'this machine'}"

    def _connect(self, address: str | None) -> None:
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            variable = os.environ.get("CUDA_VISIBLE_DEVICES")
            count = len(slots.visible(topology.gpus(), variable)) if self._gpu else 1
            quiet |= {"num_cpus": 1, "resources": {RESOURCE: count}, "include_dashboard": False}
            quiet |= {"num_gpus": count if self._gpu else 0}
            _bring_token()
        if self._ray.is_initialized():
            self._ray.shutdown()  # the connection of another engine of this sweep
        OnRay._connected = self
        try:
            _require_open(address)
            self._ray.init(address=address or "local", **quiet)
        except Exception as error:  # Ray raises whatever its transport does
            raise UsageError(
                f"the Ray cluster at {address or 'this machine'} cannot be reached: "
                f"{first_line(error)}; see ray status"
            ) from None

    def _slots(self) -> int:
        """How many jobs the nodes that fit can run at a time."""
        fitting = [
            each["Resources"]
            for each in self._ray.nodes()
            if each["Alive"]
            and (not self._machine or each.get("Labels", {}).get(LABEL) == self._machine)
        ]
        count = sum(int(resources.get(RESOURCE, 0)) for resources in fitting)
        if self._gpu:
            count = min(count, sum(int(resources.get("GPU", 0)) for resources in fitting))
        if not count:
            self._ray.shutdown()
            kind = f" with the label {LABEL}={self._machine}" if self._machine else ""
            wanted = f" and a GPU{kind}" if self._gpu else kind
            raise UsageError(
                f"no node of the cluster offers {RESOURCE}{wanted}; start nodes with "
                f"ray start --resources '{{\"{RESOURCE}\": 1}}'"
            )
        return count

    def run(self, jobs: Sequence[Job], ended: Ended, begun: Begun = unnoticed) -> None:
        """Run all jobs; see `engine.Engine`. A lost node or worker costs its jobs one retry."""
        options: dict[str, Any] = {
            "num_cpus": 0,  # the slot counts, not Ray's CPUs
            "num_gpus": 1 if self._gpu else 0,
            "resources": {RESOURCE: 1},
            "max_retries": 1,
        }
        if self._machine:
            options["label_selector"] = {LABEL: self._machine}
        if OnRay._connected is not self:
            self._connect(self._address)
        task = self._ray.remote(**options)(_measured)
        waiting = deque(jobs)
        running: dict[Any, Job] = {}
        try:
            while waiting or running:
                while waiting and len(running) < AHEAD * self.width:
                    job = waiting.popleft()
                    reference = task.remote(job, self._deadline, self._command, dict(os.environ))
                    running[reference] = job
                    begun(job, "the Ray cluster")
                done, _ = self._ray.wait(list(running), timeout=1.0)
                for reference in done:
                    ended(self._result(running.pop(reference), reference))
        finally:
            for reference in running:
                with suppress(Exception):
                    self._ray.cancel(reference, force=True)
            self._ray.shutdown()
            OnRay._connected = None

    def _result(self, job: Job, reference: Any) -> Entry:
        try:
            entry, saved = self._ray.get(reference)
        except Exception as error:  # of Ray: the node or the worker is gone
            reason = f"its node was lost, twice: {first_line(error)}"
            return Entry(job.key, job.model, job.place, "", 0.0, reason)
        if saved is not None:
            with replacing(self._folder / f"{job.key}.json") as unfinished:
                unfinished.write_bytes(saved)
        found: Entry = entry
        return found


def _bring_token() -> None:
    """Give a cluster that this process starts a token of its own, if the user gives none.

    Otherwise Ray writes one to the home folder, which may be read-only. Ray reads it once, so it
    stays for the life of the process.
    """
    if not any(os.environ.get(name) for name in TOKEN_VARIABLES):
        os.environ[TOKEN_VARIABLES[0]] = secrets.token_hex(32)


def _require_open(address: str | None) -> None:
    """Raise OSError if nothing answers there; Ray itself takes minutes to say so."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()


def _measured(
    job: Job, deadline: float, command: Sequence[str], environment: Mapping[str, str]
) -> tuple[Entry, bytes | None]:
    """Runs on a node: what has become of the job, and its saved run.

    environment: the variables of the process that sweeps, which a job has on this machine too.
    """
    import ray

    context: Any = ray.get_runtime_context()
    assigned = context.get_accelerator_ids().get("GPU", [])
    slot = slot_of(assigned, topology.cores(), topology.gpus())
    entry, saved = node.measured(job, slot, deadline, command, scrubbed(environment))
    where = f"{context.get_node_id()[:8]}, {entry.slot}"
    return Entry(**{**vars(entry), "slot": where}), saved


def slot_of(assigned: Sequence[str], cores: slots.Cores, gpus: Sequence[topology.Gpu]) -> Slot:
    """The CPUs and the GPU of a job that Ray gave the GPUs of these numbers; without one, all."""
    if not assigned:
        return slots.of_cpu(cores, 1)[0]
    return slots.of_gpus(cores, gpus)[int(assigned[0])]


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables without those of Ray: a job must not see that it runs on a cluster."""
    return node.without(environment, "RAY_")
