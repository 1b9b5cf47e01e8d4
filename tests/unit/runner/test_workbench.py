"""What a workbench says of the models that it opened."""

from __future__ import annotations

import torch

from deploybench import cli, settings
from deploybench.models import preparation, weights
from deploybench.runner.opened_case import OpenedCase
from deploybench.runner.prepared_model import Plan
from deploybench.runner.workbench import Workbench

from ..tiny import MODEL, Tiny


def test_what_was_taken_of_a_checkpoint_is_a_notice_and_a_line_of_export(tmp_path, capsys):
    path = tmp_path / "with a space and ü.pth"
    torch.save({"state_dict": Tiny().state_dict(), "epoch": 3}, path)
    plan = Plan(settings.resolve("cpu", threads=1), weights.parse(str(path)), inputs=2)
    with Workbench(plan) as bench:
        bench.prepared(MODEL)
        (notice,) = bench.notices()
    taken = f"weights of tiny from '{path}': its entry 'state_dict'; not 'epoch'"
    assert notice.seen == taken
    words = ["export", "tests.unit.tiny:MODEL", f"--weights={path}", f"--out={tmp_path / 'ts'}"]
    assert cli.main([*words, "--device=cpu"]) == 0
    assert taken in capsys.readouterr().err.splitlines()


def test_a_kept_torchscript_file_says_how_a_photo_is_prepared(tmp_path):
    device = settings.resolve("cpu", threads=1)
    plan = Plan(device, weights.parse("random"), inputs=2, keep=tmp_path / "kept")
    with Workbench(plan) as bench:
        for name in ("scripted", "frozen"):
            artifact = bench.prepared(MODEL).artifact(bench.backend(name))
            said = {"preprocessing": ""}
            torch.jit.load(artifact.path, _extra_files=said)
            expected = preparation.describe(MODEL.preprocessing(), MODEL.name)
            assert said["preprocessing"] == expected.encode()


def test_the_program_that_backends_share_is_judged_once_before_the_save(monkeypatch):
    judged = []
    judge = OpenedCase._judged

    def counted(case, session, batch_size):
        judged.append((case.backend.name, session is case.session, batch_size))
        return judge(case, session, batch_size)

    monkeypatch.setattr(OpenedCase, "_judged", counted)
    plan = Plan(settings.resolve("cpu", threads=1), weights.parse("random"), inputs=2)
    with Workbench(plan) as bench:
        for name in ("scripted", "cpp"):
            with bench.case(MODEL, name, 1) as case:
                found = [case.check_before_save(1), case.check_before_save(2), case.check(1)]
                assert all(each.agrees for each in found)
    before = [("scripted", False, 1), ("scripted", False, 2)]
    assert judged == [*before, ("scripted", True, 1), ("cpp", True, 1)]
