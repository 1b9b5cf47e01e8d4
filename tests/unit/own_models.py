"""Models as users write them: good ones, and one for each thing that can be wrong."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deploybench import Model

from .tiny import Tiny

SHAPE = (3, 32, 32)


def make_tiny() -> nn.Module:
    return Tiny()


def make_model() -> Model:
    return Model("returned", build=Tiny, inputs=SHAPE)


def make_other_model() -> OtherModel.Model:
    return Tiny()


class OtherModel:
    Model = Tiny


class TwoInputs(nn.Module):
    def forward(self, image: Tensor, vector: Tensor) -> Tensor:
        return image.mean(dim=(2, 3)) + vector


FIRST = Model("first-one", build=Tiny, inputs=SHAPE)
SEVERAL = [
    Model("second", build=Tiny, inputs=SHAPE, task="embedding"),
    Model("third", build=Tiny, inputs=SHAPE, weights="random"),
]
NUMBER = 3
BUILT = Tiny()


def needs_arguments(width: int, depth: int, scale: float = 1.0) -> nn.Module:
    return Tiny()


def returns_text() -> str:
    return "a module"


def raises() -> nn.Module:
    raise ValueError("no such checkpoint\nnor any other")


class Wrong(Tiny):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("layer 3 is missing\nand layer 4")


class Nan(Tiny):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 0 * 0


class ByPosition(Tiny):
    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits + torch.arange(len(x)).to(logits)[:, None]


class ByMates(Tiny):
    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits - 0.5 * logits.mean(dim=0)  # a GPU may round by a tenth


class ChangesInput(Tiny):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mul_(0.5))


class Noisy(Tiny):
    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits + 1e-4 * torch.randn_like(logits)


class DropsOut(Tiny):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().forward(x), training=True)


class Trains(Tiny):
    def forward(self, x: Tensor) -> Tensor:
        self.train()
        return super().forward(x)


class StaysInTraining(Tiny):
    def train(self, mode: bool = True) -> StaysInTraining:
        return super().train(True)


class Text(Tiny):
    def forward(self, x: Tensor) -> str:
        return "a tensor"


class Prints(Tiny):
    def forward(self, x: Tensor) -> Tensor:
        print("about to answer", end="")
        return super().forward(x)


BAD = [
    Model("text-built", build=returns_text, inputs=SHAPE),
    Model("raises", build=raises, inputs=SHAPE),
    *(
        Model(each.__name__, build=each, inputs=SHAPE)
        for each in (
            *(Wrong, Nan, ByPosition, ByMates, ChangesInput),
            *(Noisy, DropsOut, Trains, StaysInTraining, Text),
        )
    ),
]
"""Models that can be selected and not measured."""

WHAT_IS_SAID = {
    "text-built": "its callable returned a str, not a torch.nn.Module; return the module",
    "raises": "its callable raised ValueError: no such checkpoint; call it in Python",
    "Wrong": "cannot answer a batch of shape [2, 3, 32, 32]: RuntimeError: layer 3 is missing;",
    "Nan": "itself answers NaN in float32",
    "ByPosition": "answers an input differently alone and in a batch of 2",
    "ByMates": "answers an input differently alone and in a batch of 2",
    "ChangesInput": "changes its own input in place",
    "Noisy": "is not deterministic: two calls on the same input differ by ",
    "DropsOut": "is not deterministic: two calls on the same input differ by ",
    "Trains": "is in training mode although eval() was called, so it is not deterministic",
    "StaysInTraining": "is in training mode although eval() was called, so it is not determin",
    "Text": "must return tensors, or tuples, lists or dicts of them: '' is a str",
}
