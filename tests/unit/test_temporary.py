"""Temporary folders: removed by whoever made them, or swept once that process is dead."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deploybench import temporary
from deploybench.temporary import TemporaryFolder, sweep

KILLED = """
import os, signal, sys
from pathlib import Path
from deploybench.temporary import TemporaryFolder
folder = TemporaryFolder(Path(sys.argv[1]))
(folder.path / "sub").mkdir()
(folder.path / "sub" / "input").write_text("tensors")
os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by_a_dead_process(place):
    subprocess.run([sys.executable, "-c", KILLED, str(place)], check=False)
    (folder,) = place.iterdir()
    assert (folder / "sub" / "input").exists()
    return folder


def test_what_a_killed_process_left_is_swept(tmp_path):
    left_by_a_dead_process(tmp_path)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_first_folder_of_a_process_sweeps_where_folders_are_made(tmp_path, monkeypatch):
    left = left_by_a_dead_process(tmp_path)
    monkeypatch.setattr(temporary, "MEMORY", tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    temporary._sweep_once.cache_clear()
    with TemporaryFolder() as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert not left.exists()


def test_nothing_of_a_living_process_or_of_others_is_swept(tmp_path):
    with TemporaryFolder(tmp_path) as own:
        (tmp_path / "deploybench-notes").mkdir()
        (tmp_path / "deploybench-file").write_text("")
        other = tmp_path / "another-tool"
        other.mkdir()
        (other / ".owner").write_text("")
        (tmp_path / "deploybench-link").symlink_to(other)
        before = set(tmp_path.iterdir())
        # A lock of this process does not keep this process: another one sweeps.
        code = "import sys; from pathlib import Path; from deploybench.temporary import sweep; "
        code += "sweep(Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert set(tmp_path.iterdir()) == before
        assert own.exists()
        assert (other / ".owner").exists()


def test_what_another_user_left_is_not_swept(tmp_path, monkeypatch):
    left = left_by_a_dead_process(tmp_path)
    monkeypatch.setattr("os.getuid", lambda: left.stat().st_uid + 1)
    sweep(tmp_path)
    assert left.exists()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_folder_is_removed_at_the_end_however_it_comes(tmp_path, error):
    try:
        with TemporaryFolder(tmp_path) as folder:
            (folder / "input").write_text("tensors")
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    assert list(tmp_path.iterdir()) == []


def test_emptying_keeps_the_folder_its_own(tmp_path):
    folder = TemporaryFolder(tmp_path)
    (folder.path / "sub").mkdir()
    (folder.path / "file").write_text("")
    folder.empty()
    assert [path.name for path in folder.path.iterdir()] == [temporary.OWNER]
    folder.close()
