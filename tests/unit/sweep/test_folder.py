"""What a sweep that was killed leaves is removed: by the next one, or by the next run on a node."""

from __future__ import annotations

from deploybench import temporary
from deploybench.sweep import measuring, node
from deploybench.sweep.folder import Folder
from deploybench.sweep.job import Job
from deploybench.sweep.ledger import Entry
from deploybench.sweep.slots import Slot


def test_files_in_the_middle_of_writing_are_removed(tmp_path):
    folder = Folder(tmp_path)
    for name in (".key.1234.json", ".key.json.1234.unfinished", "key.json"):
        (folder.jobs / name).touch()
    with folder.alone():
        assert [path.name for path in folder.jobs.iterdir()] == ["key.json"]


def test_the_folder_on_a_node_is_removed_by_a_later_run_if_its_process_is_killed(monkeypatch):
    seen = []

    def measure(job, slot, folder, *_):
        seen.append((folder.name.startswith(temporary.PREFIX), (folder / temporary.OWNER).exists()))
        return Entry(job.key, job.model, job.place, slot.name, 1.0, "it fails")

    monkeypatch.setattr(measuring, "measure", measure)
    _, saved = node.measured(Job("a", "a", (), (), 1), Slot(), 60, ["python"], {})
    assert seen == [(True, True)]
    assert saved is None
