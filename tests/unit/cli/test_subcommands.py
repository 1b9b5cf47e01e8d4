"""Each subcommand that reads runs, lists or exports, as it is called."""

from __future__ import annotations

import argparse
import copy
import runpy
from pathlib import Path

import pytest

from deploybench import backends as registry
from deploybench import cli
from deploybench.cli import _exporting, _generate_ts, export
from deploybench.errors import BackendUnavailable
from deploybench.formats.exported import ExportedProgramFile
from deploybench.formats.torchscript import TracedFile, load_program
from deploybench.models import images, torchvision_zoo
from deploybench.models.weights import RANDOM
from tests.unit import saved_runs, tiny

CASES = {("alexnet", "eager"): [0.004] * 3, ("alexnet", "scripted"): [0.002] * 3}


@pytest.fixture
def run(tmp_path):
    return str(saved_runs.save(tmp_path / "run.json", CASES))


def printed(capsys, *words: str) -> list[str]:
    assert cli.main(words) == 0
    return capsys.readouterr().out.splitlines()


def test_table(run, capsys):
    assert printed(capsys, "table", run)[2].split() == ["alexnet", "4.00", "2.00"]
    title, row = printed(capsys, "table", run, "--csv", "--decimals=1")
    assert (title, row) == ("Model;PyTorch;TorchScript (Python)", "alexnet;4.0;2.0")
    # This run was made by hand, without the rates that the bound needs.
    assert cli.main(["table", run, "--floor"]) == 2
    assert "no run has the rates of its device" in capsys.readouterr().err


def test_a_table_goes_to_a_file_but_never_over_a_run(run, capsys, tmp_path):
    assert printed(capsys, "table", run, "--csv", "-o", str(tmp_path / "perf.csv")) == []
    assert (tmp_path / "perf.csv").read_text().endswith("\nalexnet;4.00;2.00\n")
    assert cli.main(["table", run, "-o", run]) == 2


def test_speedup(run, capsys):
    lines = printed(capsys, "speedup", run, "--csv")
    assert lines[0] == "Model;TorchScript (Python)"
    assert lines[1].startswith("alexnet;2.00")


def test_costs(run, capsys):
    assert "alexnet;PyTorch;" in "\n".join(printed(capsys, "costs", run, "--csv"))


def test_recommend(run, capsys):
    fastest = printed(capsys, "recommend", run)[2]
    assert fastest.split(None, 2) == ["alexnet", "fastest", "TorchScript (Python)       2.00 ~"]


def test_gate_gives_its_exit_code(tmp_path, capsys):
    sides = [
        [
            str(saved_runs.save(tmp_path / f"{name}{n}.json", {("vgg11", "eager"): [seconds]}))
            for n, seconds in enumerate(factor * each for each in (0.1, 0.1002, 0.0998))
        ]
        for name, factor in (("b", 1.0), ("c", 1.3))
    ]
    assert cli.main(["gate", "--baseline", *sides[0], "--candidate", *sides[1]]) == 1
    assert capsys.readouterr().out.endswith("1 cells: 1 slower\n")
    report = ["report", *sides[1], "--baseline", *sides[0], "--format=markdown"]
    assert cli.main(report) == 0
    assert "1 cells: 1 slower" in capsys.readouterr().out
    assert cli.main([*report, "--tolerance=50%"]) == 0
    assert "1 cells: 1 same" in capsys.readouterr().out


def test_models_are_one_a_line(capsys):
    assert printed(capsys, "models") == list(torchvision_zoo.ARTICLE)
    assert printed(capsys, "models", "--models=resnet18,vgg11") == ["resnet18", "vgg11"]
    assert printed(capsys, "models", "--models=alexnet", "--sizes") == ["alexnet  3x224x224"]


def test_backends_say_what_mends_them(capsys, monkeypatch):
    def missing(self) -> None:
        raise BackendUnavailable("onnxruntime is not installed:\n pip install it")

    def broken(self) -> None:
        raise ImportError("libfoo.so.1: cannot open")

    kinds = registry.registry()
    monkeypatch.setattr(kinds["onnxruntime"], "require", missing)
    monkeypatch.setattr(kinds["openvino"], "require", broken)
    names = "--backends=eager,onnxruntime,openvino"
    title, _, *rows = printed(capsys, "backends", "--device=cpu", names)
    assert title.split() == ["Backend", "Title", "File", "Here"]
    assert [row.split("  ")[0] for row in rows] == ["eager*", "onnxruntime", "openvino"]
    assert rows[0].endswith("  -     ready")
    assert rows[1].endswith("  onnx  onnxruntime is not installed: pip install it")
    assert rows[2].endswith("  onnx  broken: libfoo.so.1: cannot open")


def test_an_export_is_named_after_its_model_and_format(tmp_path, capsys):
    _exporting.write_files(
        [tiny.MODEL], RANDOM, "cpu", TracedFile(), tmp_path, TracedFile.suffix, batch_size=2
    )
    path = tmp_path / "tiny.traced.ts"
    assert list(tmp_path.iterdir()) == [path]
    assert capsys.readouterr().out.startswith(f"{path}  ")
    assert load_program(path, "cpu")(tiny.MODEL.batch(2)).shape == (2, tiny.CLASSES)


def test_the_formats_are_those_of_the_backends():
    assert set(export.formats()) == {
        "torchscript",
        "traced",
        "frozen",
        "exported",
        "onnx",
        "aotinductor",
        "executorch",
    }


def test_an_unknown_format_names_the_nearest(capsys):
    assert cli.main(["export", "resnet18", "--format", "onx"]) == 2
    assert "unknown format 'onx': did you mean 'onnx'?" in capsys.readouterr().err


def test_a_model_that_does_not_export_is_one_line():
    with (
        pytest.raises(export.BackendFailed, match=r"^net does not export to onnx: KeyError: 'a'$"),
        export._one_line("net", "onnx"),
    ):
        raise KeyError("a\nb"[:1])


def test_generate_ts_says_of_a_model_that_cannot_be_scripted_what_torch_says(tmp_path, monkeypatch):
    (tmp_path / "unscriptable.py").write_text(
        "from torch import nn\n"
        "from deploybench import Model\n"
        "class Net(nn.Module):\n"
        "    def forward(self, x, *more):\n"
        "        return x\n"
        "MODEL = Model('net', build=Net, inputs=(4,))\n"
    )
    monkeypatch.chdir(tmp_path)
    given = argparse.Namespace(
        model=["unscriptable.py"], weights=None, device="cpu", out=tmp_path / "ts"
    )
    with pytest.raises(
        export.BackendFailed,
        match=r"^net does not export to TorchScript: NotSupp[^\n]*$",
    ):
        _generate_ts.main(given)
    assert list((tmp_path / "ts").iterdir()) == []


def test_the_support_tool_writes_into_the_folder_that_it_is_called_in():
    tool = runpy.run_path(str(Path(cli.__file__).parents[2] / "tools" / "support.py"))
    arguments = tool["parser"]().parse_args([])
    assert arguments.findings == Path("support.json")
    assert arguments.output == Path("support.md")


def test_infer_takes_one_model(capsys):
    assert cli.main(["infer", "resnet18,vgg11", "photo.jpg"]) == 2
    assert "model names 2 models; give one" in capsys.readouterr().err


def test_support_writes_where_it_is_told(tmp_path, capsys):
    words = ["support", "--models=resnet18", "--backends=nothing"]
    assert cli.main([*words, f"--findings={tmp_path / 'f'}", f"-o={tmp_path / 'o'}"]) == 2
    assert "unknown backend 'nothing'" in capsys.readouterr().err


def test_doctor_prints_a_finding_a_line_and_is_strict_only_if_asked(capsys, monkeypatch):
    from deploybench.machine import doctor
    from deploybench.machine.finding import LOOK, OK, Finding

    found = [Finding("swap", OK, "not used"), Finding("governor", LOOK, "powersave", "set it")]
    monkeypatch.setattr(doctor, "examine", lambda *_: found)
    assert printed(capsys, "doctor") == [
        "ok         swap: not used",
        "look       governor: powersave; set it",
        "2 findings, 1 to look at",
    ]
    assert cli.main(["doctor", "--strict"]) == 1
    found.pop()
    assert cli.main(["doctor", "--strict"]) == 0


def test_doctor_examines_for_a_user_without_a_home(capsys, monkeypatch):
    from deploybench.machine import doctor
    from deploybench.native import build

    def without_home(*_):
        raise RuntimeError("Could not determine home directory.")

    seen = {}
    monkeypatch.setattr(Path, "home", without_home)
    monkeypatch.setattr(build, "builds_in_place", lambda: False)
    for name in ("XDG_CACHE_HOME", "DEPLOYBENCH_CACHE", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor, "examine", lambda place, tools, folders: seen.update(folders) or [])
    assert printed(capsys, "doctor") == ["0 findings, 0 to look at"]
    assert seen["C++ program"] == Path("~/.cache/deploybench")


def test_doctor_examines_this_machine(capsys):
    *lines, last = printed(capsys, "doctor")
    assert max(map(len, lines)) <= 100
    lines = [line for line in lines if not line.startswith(" ")]
    assert last.startswith(f"{len(lines)} findings, ")
    assert all(line.startswith(("ok  ", "look  ", "not known  ")) for line in lines)


def test_a_callable_gets_its_input_beside_it(tmp_path, capsys):
    net, shape = "tests.unit.own_models:make_tiny", "--input=3x32x32"
    assert printed(capsys, "models", f"--models={net}", "--sizes", shape) == ["make_tiny  3x32x32"]
    words = [net, shape, "--device=cpu", f"--out={tmp_path}"]
    (line,) = printed(capsys, "export", *words)
    assert line.startswith(f"{tmp_path}/make_tiny.scripted.ts  ")
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"label {number}\n" for number in range(tiny.CLASSES)))
    photo = str(images.PHOTOGRAPH)
    lines = printed(capsys, "infer", net, photo, shape, f"--labels={labels}", "--device=cpu")
    assert len(lines) == 5
    assert all(line.startswith("label ") for line in lines)


def test_support_takes_a_callable_with_two_inputs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(
        "from pathlib import Path\n"
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        assert Path('numbers.txt').exists()\n"
        "    def forward(self, image, vector):\n"
        "        return image.mean(dim=(2, 3)) + vector\n"
    )
    (tmp_path / "numbers.txt").touch()  # found from the folder of the command
    words = ["--models=nets:Net", "--input=1x8x8,5", "--task=embedding", "--backends=eager"]
    lines = printed(capsys, "support", *words)
    assert lines[0].split() == ["[0", "left]", "Net", "eager", "exact"]
    assert "Written by `deploybench support`" in (tmp_path / "support.md").read_text()


def test_an_input_without_a_callable_is_refused(capsys):
    assert cli.main(["models", "--models=resnet18", "--input=3x32x32"]) == 2
    assert "--input 3x32x32 is for models named as MODULE:CALLABLE" in capsys.readouterr().err


def test_explain_names_a_planted_layer_and_what_it_cannot_look_into(capsys, monkeypatch):
    export = ExportedProgramFile.export

    def damaged(self, module, example, path):
        other = copy.deepcopy(module)
        other.features[1].bias.data.add_(0.1)
        export(self, other, example, path)

    monkeypatch.setattr(ExportedProgramFile, "export", damaged)
    words = ["explain", "tests.unit.tiny:MODEL", "exported"]
    assert cli.main([*words, "--weights=random"]) == 1
    out = capsys.readouterr().out
    assert "the first layer beyond 8 times eager's error: features.1 (BatchNorm2d)" in out
    assert cli.main([*words[:2], "eager"]) == 2
    line = capsys.readouterr().err.strip()
    assert "the layers of eager cannot be seen; explain takes compiled," in line
    assert "exported, " in line and "onnxruntime, " in line
    assert "\n" not in line
