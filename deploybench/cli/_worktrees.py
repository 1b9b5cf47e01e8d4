"""Two commits of the repository, each in a folder of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..temporary import TemporaryFolder

SHOWN = 10


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    name: "base" or "head". folder: the files of the commit. place: the folder in it that is as the
    current one is in the repository. repository: the top of what is checked out.
    """

    name: str
    commit: str
    folder: Path
    place: Path
    repository: Path

    @property
    def short(self) -> str:
        """The first digits of the commit."""
        return self.commit[:SHOWN]

    def import_path(self, given: str) -> str:
        """PYTHONPATH for the commit's own modules, before what is installed in place of them.

        given: PYTHONPATH of this process; what it has of the repository becomes the commit's.
        """
        own = [self.place, self.folder, *filter(Path.is_dir, [self.folder / "src"])]
        others = [self._of_commit(Path(entry)) for entry in given.split(os.pathsep) if entry]
        return os.pathsep.join(dict.fromkeys(map(str, [*own, *others])))

    def _of_commit(self, path: Path) -> Path:
        if path.absolute().is_relative_to(self.repository):
            return self.folder / path.absolute().relative_to(self.repository)
        return path


@contextmanager
def checked_out(repository: Path, base: str, head: str) -> Iterator[tuple[Side, Side]]:
    """A context with both revisions checked out; their folders are removed at its end.

    repository: any folder in it. Submodules are not checked out. Raises UsageError for a folder
    without a repository, an unknown revision, and two revisions that are one commit.
    """
    commits = [_commit(repository, revision) for revision in (base, head)]
    if commits[0] == commits[1]:
        raise UsageError(
            f"{base} and {head} are the same commit, {commits[0][:SHOWN]}; commit what is to be "
            "compared"
        )
    top = Path(_git(repository, ("rev-parse", "--show-toplevel")))
    prefix = _git(repository, ("rev-parse", "--show-prefix"))
    with TemporaryFolder() as place:
        names = zip(("base", "head"), commits, strict=True)
        sides = [
            Side(name, commit, place / name, place / name / prefix, top) for name, commit in names
        ]
        # Of a comparison that was killed; its folder is removed by TemporaryFolder.
        _git(repository, ("worktree", "prune"), may_fail=True)
        try:
            for side in sides:
                add = ("worktree", "add", "--quiet", "--detach", str(side.folder), side.commit)
                _git(repository, add)
                if not side.place.is_dir():
                    raise UsageError(
                        f"{side.name} ({side.short}) has no folder {prefix}; start where both "
                        "commits have one"
                    )
            yield sides[0], sides[1]
        finally:
            for side in sides:
                remove = ("worktree", "remove", "--force", str(side.folder))
                _git(repository, remove, may_fail=True)


def _commit(repository: Path, revision: str) -> str:
    arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    _git(repository, ("rev-parse", "--git-dir"))
    found = _git(repository, arguments, may_fail=True)
    if not found:
        raise UsageError(
            f"'{revision}' is not a commit of this repository; give a branch, a tag or a commit, "
            "and fetch it first if the clone is shallow"
        )
    return found


def _git(repository: Path, arguments: Sequence[str], may_fail: bool = False) -> str:
    """What git prints, without the line break. Raises UsageError with git's own reason."""
    command = ["git", "-C", str(repository), *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed, which makes the folders of both commits") from error
    if done.returncode and not may_fail:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise UsageError(f"git cannot do that in {repository}: {reason}")
    return done.stdout.strip()
