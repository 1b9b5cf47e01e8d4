"""Runs jobs on the nodes of a Slurm cluster, which submitit asks for, one node for each job.

FOLDER/slurm/KEY/  the files of a job from its submission to its end; kept if it fails

submitit hands the job to the node as a pickle in that folder, which only its owner can enter: a
function of this file, and text. What comes back is JSON, and nothing is unpickled here.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import FileError, UsageError, first_line, printable
from ..files import replacing
from ..machine import topology
from ..processes import importing
from . import ledger, node, slots
from .engine import Begun, Ended, unnoticed
from .job import Job
from .ledger import Entry
from .slots import Slot

INSTALL = "pip install 'deploybench[slurm]'"
COMMANDS = ("sbatch", "srun", "sacct", "scancel")
"""The commands of Slurm that submitit runs or asks for."""
OF_SLURM = ("SLURM", "SBATCH_", "SRUN_", "SUBMITIT_", "PMI")
"""What the variables begin with that only a job of Slurm has."""
PREEMPTED = "PREEMPTED"
"""The state of a job that another displaced. submitit takes it for passing; Slurm may not."""
FORGOTTEN = "UNKNOWN"
"""The state of a job that Slurm does not know, or not any more."""
ATTEMPTS = 2
SPARE_MINUTES = 10
"""For how much longer than the deadline a node is asked: a job's own deadline must come first."""
SECONDS_BETWEEN_LOOKS = 1.0
ENDED, NUMBER = "ended.json", "number"
Executor = Callable[[Path, str], Any]
"""Makes submitit's executor for a folder; the second argument is the command that starts Python."""


def parameters(given: Sequence[str]) -> dict[str, str | bool]:
    """Options of sbatch by name, from texts such as `partition=gpu,gres=gpu:1`.

    A part without `=` belongs to the value before it, as in `nodelist=a,b`. The values true and
    false are for options without a value. Raises UsageError for what is no such option.
    """
    found: dict[str, str] = {}
    for text in given:
        name = ""
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if equals and key.strip(" -"):
                name = key.strip(" -").replace("-", "_")
                found[name] = value.strip()
            elif name:
                found[name] += f",{part}"
            else:
                raise UsageError(
                    f"--slurm '{text}' is no option of sbatch; give NAME=VALUE, such as "
                    "partition=gpu, and NAME=true for an option without a value"
                )
    flags = {"true": True, "false": False}
    return {name: flags.get(value, value) for name, value in found.items()}


class OnSlurm:
    """Runs each job on a node of its own; see `engine.Engine`.

    folder: where the saved run of each job goes, as KEY.json; every node must have it at the same
    path. deadline: seconds for each job, from its start. command: what measures; a node's own
    Python replaces its first word. width: the number of jobs in Slurm's queue at a time. options:
    of sbatch, by name. gpu: whether each job gets one. executor: makes submitit's executor, None
    for that of Slurm. Raises UsageError without submitit, and without Slurm.
    """

    def __init__(
        self,
        folder: Path,
        deadline: float,
        command: Sequence[str],
        width: int = 1,
        options: Mapping[str, str | bool] | None = None,
        gpu: bool = False,
        executor: Executor | None = None,
    ) -> None:
        self.width = width
        self._folder = folder.absolute()
        self._deadline = deadline
        self._command = list(command)
        self._gpu = gpu
        self._options = dict(options or {})
        self._executor = executor or self._of_slurm
        self._attempts: dict[str, int] = {}
        if executor is None:
            _require_slurm()
        given = "".join(f", {name}={value}" for name, value in self._options.items())
        self.where = f"{width} nodes of Slurm at a time{given}"

    def _of_slurm(self, folder: Path, python: str) -> Any:
        from submitit.slurm.slurm import SlurmExecutor

        made = SlurmExecutor(folder, python=python)
        options = {
            "exclusive": True,
            # A lost job is submitted again here, once.
            **({} if "requeue" in self._options else {"no_requeue": True}),
            **({"gpus_per_node": 1} if self._gpu else {}),
            **self._options,
        }
        made.update_parameters(
            job_name="deploybench",
            time=int(self._deadline / 60) + SPARE_MINUTES,
            use_srun=False,  # a step of srun may get fewer CPUs than the job has
            additional_parameters={
                name: value for name, value in options.items() if value is not False
            },
        )
        return made

    def run(self, jobs: Sequence[Job], ended: Ended, begun: Begun = unnoticed) -> None:
        """Run all jobs; see `engine.Engine`. A lost node costs its job one retry.

        Raises UsageError if Slurm refuses a job. If this process is killed, the jobs that are in
        the queue go on, and the next sweep waits for them instead of submitting them again.
        """
        waiting, running = deque(jobs), dict[str, tuple[Job, Any]]()
        try:
            while waiting or running:
                while waiting and len(running) < self.width:
                    job = waiting.popleft()
                    running[job.key] = job, self._found(job) or self._submitted(job)
                    begun(job, "Slurm")
                for job, submitted in list(running.values()):
                    # This first: what has ended has left its entry before.
                    done = submitted.done() or submitted.state == PREEMPTED
                    entry = self._entry(job)
                    if entry is None and done:
                        entry = self._lost(job, submitted)
                        if entry is None:
                            running[job.key] = job, self._submitted(job)
                    if entry is not None:
                        del running[job.key]
                        ended(entry)
                if running:
                    time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            for _, submitted in running.values():
                with suppress(Exception):
                    submitted.cancel(check=False)
            self._remove_files_of_measured()

    def _remove_files_of_measured(self) -> None:
        """Remove what submitit keeps of jobs that have a saved run.

        Not at once: a node writes there for a moment after it has left its entry.
        """
        time.sleep(SECONDS_BETWEEN_LOOKS)
        for folder in (self._folder.parent / "slurm").glob("*"):
            if (self._folder / f"{folder.name}.json").exists():
                shutil.rmtree(folder, ignore_errors=True)

    def _of(self, job: Job) -> Path:
        return self._folder.parent / "slurm" / job.key

    def _found(self, job: Job) -> Any:
        """The job in the queue that an earlier sweep, which was killed, submitted; None without."""
        folder = self._of(job)
        try:
            number = (folder / NUMBER).read_text()
        except OSError:
            return None
        submitted = self._made(folder).job_class(folder, number)
        entry = self._entry(job)
        if entry is None:
            goes_on = not submitted.done() and submitted.state not in (PREEMPTED, FORGOTTEN)
        else:
            goes_on = not entry.reason and (self._folder / f"{job.key}.json").exists()
        if not goes_on:
            return None
        self._attempts[job.key] = 1
        return submitted

    def _submitted(self, job: Job) -> Any:
        """Submit a job; what says when it has ended."""
        self._attempts[job.key] = self._attempts.get(job.key, 0) + 1
        folder = self._of(job)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(mode=0o700, parents=True)
            given = {"job": asdict(job), "deadline": self._deadline, "command": self._command}
            told = json.dumps({**given, "folder": str(self._folder), "gpu": self._gpu})
            submitted = self._made(folder).submit(measured, told)
            (folder / NUMBER).write_text(submitted.job_id)
        except OSError as error:
            raise FileError(f"{folder} cannot be written: {error.strerror or error}") from error
        except Exception as error:  # submitit raises what sbatch printed
            raise UsageError(f"sbatch refuses the jobs: {first_line(error)}; see --slurm") from None
        return submitted

    def _made(self, folder: Path) -> Any:
        logging.getLogger("submitit").setLevel(logging.CRITICAL)  # it logs to the terminal
        given = importing({"PYTHONPATH": os.environ.get("PYTHONPATH", "")})
        words = ["env", *(f"{name}={value}" for name, value in given.items()), sys.executable]
        return self._executor(folder, shlex.join(words))

    def _entry(self, job: Job) -> Entry | None:
        """What the node says of a job; None while it has not ended."""
        path = self._of(job) / ENDED
        try:
            return ledger.parsed(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            return _failed(job, f"what its node says cannot be read: {first_line(error)}")

    def _lost(self, job: Job, submitted: Any) -> Entry | None:
        """The end of a job whose node has said nothing; None if it is to be tried again."""
        if self._attempts.get(job.key, 0) < ATTEMPTS:
            return None
        said = [line for line in (submitted.stderr() or "").splitlines() if line.strip()]
        words = f": {printable(said[-1].strip())}" if said else ""
        return _failed(job, f"Slurm ended it without a result, twice ({submitted.state}){words}")


def _failed(job: Job, reason: str) -> Entry:
    return Entry(job.key, job.model, job.place, "", 0.0, reason)


def _require_slurm() -> None:
    """Raise UsageError without submitit, or without the commands of Slurm."""
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise UsageError(f"--on slurm needs the package submitit: {INSTALL}") from None
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        raise UsageError(
            f"--on slurm needs Slurm, but there is no {', '.join(missing)} on the PATH; start the "
            "sweep where jobs are submitted, or leave --on out to use this machine"
        )


def measured(told: str) -> None:
    """Runs on a node: measure a job, and leave its saved run and its entry in the shared folder.

    told: JSON of what `OnSlurm` says of the job.
    """
    given = json.loads(told)
    job = _job(given["job"])
    gpus = slots.visible(topology.gpus(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    slot = slot_of(given["gpu"], topology.cores(), gpus)
    environment = node.without(os.environ, *OF_SLURM)
    entry, saved = node.measured(job, slot, given["deadline"], given["command"], environment)
    folder = Path(given["folder"])
    if saved is not None:
        with replacing(folder / f"{job.key}.json") as unfinished:
            unfinished.write_bytes(saved)
    where = f"{os.uname().nodename}, {entry.slot}"
    with replacing(folder.parent / "slurm" / job.key / ENDED) as unfinished:
        unfinished.write_text(json.dumps({**asdict(entry), "slot": where}), encoding="utf-8")


def slot_of(gpu: bool, cores: slots.Cores, gpus: Sequence[topology.Gpu]) -> Slot:
    """All CPUs that Slurm gave the job, and the first of its GPUs if it wants one.

    Raises UsageError if Slurm gave it none.
    """
    (slot,) = slots.of_cpu(cores, 1)
    if gpu and not gpus:
        raise UsageError("Slurm gave the job no GPU; name a partition with --slurm partition=NAME")
    return Slot(slot.cpus, gpus[0].uuid) if gpu else slot


def _job(given: Mapping[str, Any]) -> Job:
    pairs = {name: tuple(map(tuple, given[name])) for name in ("condition", "shared")}
    return Job(**{**given, **pairs, "passed": tuple(given["passed"])})
