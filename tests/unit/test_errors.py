import pytest
import torch

from deploybench.errors import BackendFailed, first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError(" \n"), "ValueError: no message"),
        (BackendFailed("our own words"), "our own words"),
    ],
)
def test_an_error_is_one_line_with_the_type_of_anothers(error, line):
    assert first_line(error) == line


def test_an_error_in_torchscript_says_what_went_wrong():
    @torch.jit.script
    def cut(x: torch.Tensor) -> torch.Tensor:
        return x.view(7)

    with pytest.raises(RuntimeError) as caught:
        cut(torch.ones(3))
    said = "RuntimeError: shape '[7]' is invalid for input of size 3"
    assert first_line(caught.value) == said
