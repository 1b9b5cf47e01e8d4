"""The commands of the C++ program that are for people: what they print and what they refuse."""

from __future__ import annotations

import subprocess

import pytest
import torch

from deploybench import backends, settings
from deploybench.errors import BackendUnavailable
from deploybench.models import preparation
from deploybench.native.build import ensure_runner
from deploybench.native.process import scrubbed_environment
from tests.unit import tiny
from tests.unit.native.scripted import save

CPU = settings.resolve("cpu")


class Gives(torch.nn.Module):
    """The same output for every image."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output = torch.nn.Buffer(output)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output + 0 * x.sum()


class Chooses(torch.nn.Module):
    """An image classifier of any size: the mean of each channel, repeated."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3)).repeat(1, 4)


def run_program(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ensure_runner()), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=scrubbed_environment(),
    )


@pytest.fixture
def infer(tmp_path):
    """Infer with a model that gives the output, and a labels file of these bytes."""

    def run(output: torch.Tensor, labels: bytes | None = None):
        model = save(Gives(output), tmp_path / "gives.ts")
        image = tmp_path / "image.dat"
        torch.zeros(3, 8, 8).numpy().tofile(image)
        given = []
        if labels is not None:
            (tmp_path / "labels.txt").write_bytes(labels)
            given = ["--labels", tmp_path / "labels.txt"]
        return run_program("infer", model, image, *given)

    return run


def refused(ran: subprocess.CompletedProcess[str]) -> str:
    """The one line that a run which failed has said."""
    assert ran.returncode == 1
    assert not ran.stdout
    (line,) = ran.stderr.splitlines()
    return line


def test_fewer_than_five_classes_are_all_printed(infer):
    ran = infer(torch.tensor([[0.0, 2.0, 1.0]]))
    assert ran.returncode == 0
    assert [line.split("% ")[1] for line in ran.stdout.splitlines()] == ["1", "2", "0"]


def test_probabilities_are_printed_as_they_are(infer):
    ran = infer(torch.tensor([[0.1, 0.7, 0.2]]))
    assert ran.stdout.splitlines() == ["70.00% 1", "20.00% 2", "10.00% 0"]


def test_logits_that_only_look_like_probabilities_in_part_go_through_a_softmax(infer):
    """They sum to 1, but one is negative; and none is, but they sum to 2."""
    assert infer(torch.tensor([[-1.0, 2.0]])).stdout.splitlines()[0] == "95.26% 1"
    assert infer(torch.tensor([[0.0, 2.0]])).stdout.splitlines()[0] == "88.08% 1"


def test_labels_with_the_line_ends_of_windows_print_clean(infer):
    ran = infer(torch.tensor([[3.0, 1.0]]), labels=b"tabby cat\r\nmoped\r\n")
    assert ran.stdout == "88.08% tabby cat\n11.92% moped\n"


def test_a_list_with_a_background_label_is_refused(infer):
    """Read as it is, every class would get its neighbour's name."""
    labels = b"".join(b"class %d\n" % number for number in range(11))
    line = refused(infer(torch.zeros(1, 10), labels))
    assert "has 11 labels, but the model has 10 classes" in line
    assert "remove the background label" in line


def test_empty_lines_after_the_last_label_do_not_count(infer):
    assert infer(torch.zeros(1, 2), labels=b"one\ntwo\n\n").returncode == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_refused(infer, value):
    line = refused(infer(torch.tensor([[1.0, value, 0.0]])))
    assert "returns NaN or infinite values" in line


@pytest.mark.parametrize("shape", [(2, 5), (1, 5, 4, 4), (1, 0), ()])
def test_an_output_without_classes_is_refused(infer, shape):
    assert "instead of [1, classes]" in refused(infer(torch.zeros(shape)))


def test_one_number_for_an_image_is_no_probability(infer):
    assert "returns one number for an image" in refused(infer(torch.tensor([[3.0]])))


def test_outputs_of_a_sigmoid_for_each_label_are_noticed(infer):
    assert "as after a sigmoid for each label" in infer(torch.tensor([[0.98, 0.02, 0.9]])).stderr
    assert not infer(torch.tensor([[0.98, 0.02]])).stderr
    assert not infer(torch.tensor([[3.0, 0.5]])).stderr


def head_of_bench(model, *options) -> str:
    ran = run_program("bench", model, "--rounds", 3, "--warm-up", 1, "--size", 8, *options)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()[0]


@pytest.mark.parametrize(
    "name",
    ["cpp", "openvino-cpp", "onnxruntime-cpp", pytest.param("aoti-cpp", marks=pytest.mark.slow)],
)
def test_bench_names_what_it_ran_as_the_backend_does(name, tmp_path):
    if name in ("openvino-cpp", "onnxruntime-cpp"):
        pytest.importorskip("onnxscript")
        pytest.importorskip(name.removesuffix("-cpp"))
    backend = backends.registry()[name](CPU)
    try:
        try:
            backend.require()
        except BackendUnavailable as error:
            pytest.skip(str(error))
        module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5)).eval()
        artifact = tmp_path / f"model.{backend.format.suffix}"
        backend.export(module, (torch.zeros(1, 3, 8, 8),), artifact)
        found = head_of_bench(artifact, "--runtime", backend.runtime)
        assert found == f"#head;{backend.title}"
    finally:
        backend.close()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (b"one\n\ntwo\n", "line 2 is empty"),
        (b"one\n\x1b[31mtwo\n", "line 2 has control characters"),
        (b"one\n\xc2\x9b31mtwo\n", "line 2 has control characters"),
        ("a\u202eb\ntwo\n".encode(), "line 1 has control characters"),
        ("one\n\u2069b\n".encode(), "line 2 has control characters"),
        (b"one\n", "has 1 labels, but the model has 2 classes"),
    ],
)
def test_a_file_that_is_no_list_of_labels_is_refused(infer, labels, words):
    assert words in refused(infer(torch.zeros(1, 2), labels))


def test_a_byte_order_mark_is_no_part_of_a_label(infer):
    ran = infer(torch.tensor([[3.0, 1.0]]), labels=b"\xef\xbb\xbftabby cat\nmoped\n")
    assert ran.stdout == "88.08% tabby cat\n11.92% moped\n"


def test_percentages_of_two_softmaxes_are_noticed(infer):
    flat = torch.arange(20.0).softmax(0).softmax(0)[None]
    assert "all classes have nearly the same percentage" in infer(flat).stderr
    assert not infer(torch.arange(20.0)[None]).stderr


@pytest.mark.parametrize("beside", ["another", "none", "the same"])
def test_a_photo_that_was_prepared_for_another_model_is_refused(tmp_path, beside):
    model = save(Gives(torch.tensor([[1.0, 3.0]])), tmp_path / "tiny.ts")
    preparation.write_into(model, tiny.MODEL)
    image = tmp_path / "image.dat"
    side = 32 if beside == "the same" else 8
    torch.zeros(3, side, side).numpy().tofile(image)
    said = preparation.describe(tiny.MODEL.preprocessing(), "tiny")
    written = said if beside == "the same" else "3x8x8; as other does it"
    if beside != "none":
        (tmp_path / "image.dat.preprocessing").write_text(f"{written}\n")
    ran = run_program("infer", model, image)
    if beside == "the same":
        assert ran.stdout.splitlines()[0] == "88.08% 1"
    else:
        assert f"but the model takes '{said}'" in refused(ran)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.dat"
    pixels = torch.zeros(3, 8, 8)
    pixels[1], pixels[2] = 1.0, -1.0
    pixels.numpy().tofile(path)
    return path


def test_infer_prints_five_percentages(image, tmp_path):
    model = save(Chooses(), tmp_path / "chooses.ts")
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"class {index}\n" for index in range(12)))
    ran = run_program("infer", model, image, "--labels", labels)
    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    assert len(lines) == 5
    assert {line.split("% ")[1] for line in lines[:4]} == {f"class {n}" for n in (1, 4, 7, 10)}
    assert lines[0].startswith("16.63% ")


def test_bench_prints_a_log_that_merges(tmp_path):
    model = save(Chooses(), tmp_path / "chooses.ts")
    ran = run_program("bench", model, "--rounds", "7", "--size", "8", "--threads", "1")
    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    assert lines[0] == "#head;TorchScript (C++)"
    assert "cpu, 1 threads, batch size 1" in lines[1]
    assert "7 calls" in lines[2]
    name, _, milliseconds = lines[3].partition(";")
    assert name == f"#{model}"
    assert float(milliseconds) > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "a command is missing"),
        (["dance"], 2, "unknown command 'dance'"),
        (["infer", "{model}"], 2, "infer needs another argument"),
        (["bench", "{model}", "--rounds", "0"], 2, "'0' is not a positive whole number"),
        (["bench", "{model}", "--speed", "9"], 2, "unknown option '--speed'"),
        (["bench", "{folder}/none.ts"], 1, "none.ts does not exist"),
        (["bench", "{short}"], 1, "short.ts is not a complete TorchScript file"),
        (["bench", "{model}", "--device", "cuda:42"], 1, "device 'cuda:42' does not exist"),
        (["bench", "{model}", "--device", "gpu"], 1, "unknown device 'gpu'"),
        (["infer", "{model}", "{short}"], 1, "bytes, which is not a square image"),
        (["infer", "{model}", "{folder}/none.dat"], 1, "none.dat: cannot be read"),
        (["infer", "{model}", "{image}", "--labels", "{few}"], 1, "labels, but the model has 12"),
        (["infer", "{model}", "{image}", "--labels", "{short}"], 1, "has control characters"),
    ],
)
def test_bad_arguments_end_in_one_line(image, tmp_path, arguments, code, words):
    model = save(Chooses(), tmp_path / "chooses.ts")
    short = tmp_path / "short.ts"
    short.write_bytes(model.read_bytes()[:333])
    few = tmp_path / "few.txt"
    few.write_text("one\ntwo\n")
    places = {"model": model, "image": image, "short": short, "few": few, "folder": tmp_path}
    ran = run_program(*(argument.format(**places) for argument in arguments))
    assert ran.returncode == code
    assert words in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("model_runner: ")


def test_a_photo_for_a_model_that_does_not_say_what_it_takes_is_said(tmp_path):
    model = save(Gives(torch.tensor([[1.0, 3.0]])), tmp_path / "tiny.ts")
    image = tmp_path / "image.dat"
    torch.zeros(3, 8, 8).numpy().tofile(image)
    (tmp_path / "image.dat.preprocessing").write_text("3x8x8; as other does it\n")
    ran = run_program("infer", model, image)
    assert ran.returncode == 0
    assert f"was prepared as '3x8x8; as other does it'; {model} does not say" in ran.stderr
