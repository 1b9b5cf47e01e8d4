"""Small models of our own that take several inputs, named inputs and tokens; see tiny.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from deploybench import Model

WORDS = 11


class Sees(nn.Module):
    """Images [n, 1, 64, 64] and vectors [n, 5] to four numbers each."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3)
        self.vector = nn.Linear(5, 4)
        self.head = nn.Linear(8, 4)

    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        seen = self.features(image).relu().mean(dim=(2, 3))
        return self.head(torch.cat([seen, self.vector(vector)], dim=1))


class Reads(nn.Module):
    """Tokens [n, 7], and a mask of them, to four numbers each."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.head((self.table(tokens) * mask.unsqueeze(2)).sum(dim=1))


class ReadsAll(Reads):
    """The same without a mask."""

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.table(tokens).sum(dim=1))


def image_and_vector(count: int, seed: int) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    image = torch.randn(count, 1, 64, 64, generator=numbers)
    return image, torch.randn(count, 5, generator=numbers)


def by_name(count: int, seed: int) -> dict[str, Tensor]:
    """Not in the order of the parameters."""
    image, vector = image_and_vector(count, seed)
    return {"vector": vector, "image": image}


def tokens(count: int, seed: int) -> Tensor:
    numbers = torch.Generator().manual_seed(seed)
    return torch.randint(WORDS, (count, 7), generator=numbers)


def tokens_and_mask(count: int, seed: int) -> dict[str, Tensor]:
    given = tokens(count, seed)
    return {"mask": given % 2 == 0, "tokens": given}


def _model(name: str, build: Callable[[], nn.Module], inputs: Callable[[int, int], Any]) -> Model:
    return Model(name, build=build, inputs=inputs, task="embedding")


SEES = replace(_model("sees", Sees, image_and_vector), reference="tests.unit.several_inputs:SEES")
SEES_BY_NAME = _model("sees_by_name", Sees, by_name)
READS_ALL = _model("reads_all", ReadsAll, tokens)
READS = _model("reads", Reads, tokens_and_mask)
MODELS = (SEES, SEES_BY_NAME, READS_ALL, READS)
