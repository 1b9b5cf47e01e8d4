"""Options in pyproject.toml: what is read, from where, and what is refused."""

from __future__ import annotations

import pytest

from deploybench import project
from deploybench.errors import UsageError


@pytest.fixture
def write(tmp_path):
    def write(text: str, folder=tmp_path):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pyproject.toml").write_text(text)
        return folder

    return write


def test_values_become_what_the_command_line_takes(write):
    folder = write(
        "[tool.deploybench]\nmodels = ['nets.py', 'resnet18']\nbatch-size = [1, 8]\nthreads = 2\n"
        "dtype = 'bfloat16'\ncold_start = true\nlabels = 'names.txt'\nweights = 'random'\n"
        "keep-artifacts = 'kept'\n"
    )
    ours = project.find([folder])
    assert ours.folder == folder
    assert ours.flags == {"cold_start": True}
    assert ours.texts == {
        "models": "nets.py,resnet18",
        "batch_size": "1,8",
        "threads": "2",
        "dtype": "bfloat16",
        "labels": str(folder / "names.txt"),
        "weights": "random",
        "keep_artifacts": str(folder / "kept"),
    }


def test_the_nearest_file_with_options_counts(write, tmp_path):
    write("[tool.deploybench]\nthreads = 1\n")
    below = write("[tool.other]\n", tmp_path / "package" / "tests")
    assert project.find([below]).texts == {"threads": "1"}
    nearer = write("[tool.deploybench]\nthreads = 2\n", tmp_path / "package")
    assert project.find([below]).folder == nearer
    assert project.find([below, tmp_path]).texts == {"threads": "2"}


def test_without_one_there_are_no_options(tmp_path):
    assert project.find([tmp_path]) == project.Project()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.deploybench]\nmodel = 'resnet18'", "unknown option 'model': did you mean 'models'"),
        ("[tool.deploybench]\nchanels_last = true", "did you mean 'channels_last'"),
        ("[tool.deploybench]\ncold-start = 'yes'", "cold-start = 'yes' is not true or false"),
        ("[tool.deploybench]\nthreads = 1.5", "threads = 1.5 is not a text, a whole number or a"),
        ("[tool.deploybench]\nthreads = true", "threads = True is not a text"),
        ("[tool.deploybench]\nmodels = [['a']]", "models = [['a']] is not"),
        ("[tool]\ndeploybench = 3", "is not a table"),
        ("[tool", "cannot be read: "),
    ],
)
def test_what_cannot_be_used_is_named_with_its_file(write, text, words):
    folder = write(text)
    with pytest.raises(UsageError) as caught:
        project.find([folder])
    assert words in str(caught.value)
    assert str(folder / "pyproject.toml") in str(caught.value)
    assert "\n" not in str(caught.value)
