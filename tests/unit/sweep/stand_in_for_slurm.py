"""Four small programs that do what those of Slurm do, with processes of this machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

# Each job is a process group, and a file with its state.
SBATCH = """
[ -n "$SLURM_REFUSES" ] && { echo "sbatch: error: invalid partition specified: none" >&2; exit 1; }
number=$((100 + $(ls "$SLURM_STATES" | wc -l)))
script="$SLURM_STATES/../script-$number"
cp "$1" "$script"  # the file may be renamed before the job begins
log=$(sed -n 's/^#SBATCH --error=//p' "$1" | tr -d "'" | sed "s/%j/$number/")
echo RUNNING > "$SLURM_STATES/$number"
SLURM_JOB_ID=$number setsid > /dev/null 2>&1 < /dev/null sh -c '
    echo $$ > "$SLURM_STATES/../group-$SLURM_JOB_ID"
    bash "$1" > /dev/null 2> "$2"
    echo COMPLETED > "$SLURM_STATES/$SLURM_JOB_ID"' sh "$script" "$log" &
echo "Submitted batch job $number"
"""
SACCT = """
echo "JobID|State|NodeList"
for file in "$SLURM_STATES"/*; do echo "$(basename "$file")|$(cat "$file")|node"; done
"""
SCANCEL = """
echo "${STATE:-CANCELLED}" > "$SLURM_STATES/$1"
kill -KILL -- "-$(cat "$SLURM_STATES/../group-$1")"
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the programs into `folder` and on the path. States are kept in slurm/states."""
    states, programs = folder / "slurm" / "states", folder / "programs"
    states.mkdir(parents=True)
    programs.mkdir()
    texts = {"sbatch": SBATCH, "sacct": SACCT, "scancel": SCANCEL, "srun": ""}
    for name, text in texts.items():
        path = programs / name
        path.write_text(f"#!/usr/bin/env bash{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_STATES", str(states))
