"""torchvision's classification models: their names, their inputs, and how to build them.

Importing this module imports no torch, and neither does selecting models of the article.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, unknown_name
from .globs import is_glob, matching
from .model import OF_THE_RUN, Model

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn
    from torchvision.models import WeightsEnum

ZOO = "torchvision"

ARTICLE = (
    "alexnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "mnasnet0_5",
    "mnasnet1_0",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet101_2",
    "wide_resnet50_2",
)
"""The 31 models of the article, sorted by name."""


@dataclass(frozen=True)
class TorchvisionModel(Model):
    """A model of torchvision's zoo, which has its own weights and preprocessing."""

    def pretrained_state(self) -> tuple[Mapping[str, Any], Path]:
        """torchvision's weights for it, checked against the hash in their file name."""
        from .weights import download

        return download(self.name, pretrained(self.name))

    def preprocessing(self) -> Callable[[Image], Tensor]:
        """That of its weights; see Model."""
        own: Callable[[Image], Tensor] = preprocess(self.name)
        return own


@cache
def model(name: str) -> TorchvisionModel:
    """The model of that name, always the same object.

    Raises UsageError, with the nearest name, for an unknown one.
    """
    if name not in ARTICLE and name not in (names := all_models()):
        raise unknown_name("model", name, names)
    return TorchvisionModel(
        name,
        build=partial(build, name),
        inputs=partial(_images, name),
        weights=OF_THE_RUN,
        reference=f"{ZOO}:{name}",
    )


class Classifiers:
    """torchvision's classification models as one of the zoos; see zoos.Zoo."""

    prefix = ZOO

    def select(self, spec: str) -> list[Model]:
        """The models that a name, a glob or a group means."""
        return [model(name) for name in select(spec)]

    def model(self, name: str) -> Model:
        """The model of that name."""
        return model(name)


def _images(name: str, count: int, seed: int) -> Tensor:
    from . import images

    return images.batch(input_size(name), count, seed)


def all_models() -> list[str]:
    """Every classification model that the installed torchvision lists, sorted by name."""
    import torchvision

    return sorted(torchvision.models.list_models(module=torchvision.models))


def select(spec: str) -> list[str]:
    """The models that `spec` names, each once, in the order of `spec`.

    spec: names, globs, "article" (31 models) and "all", separated by commas; the models of a glob
    or group are sorted by name. Raises UsageError for an unknown name, a glob without a match, and
    an empty spec.
    """
    items = [item.strip() for item in spec.split(",") if item.strip()]
    if not items:
        raise UsageError(
            f"no model in '{spec}'; allowed: names, globs, article, all, separated by commas"
        )
    return list(dict.fromkeys(name for item in items for name in _expand(item)))


def _expand(item: str) -> list[str]:
    if item == "article":
        return list(ARTICLE)
    if item in ARTICLE:
        return [item]
    names = all_models()
    if item == "all":
        return names
    if item in names:
        return [item]
    also = ", globs, article, all"
    if not is_glob(item):
        raise unknown_name("model", item, [*names, "article", "all"], also)
    return matching(
        item,
        names,
        lambda nearest: (
            f"no model matches '{item}': did you mean '{nearest}'? "
            f"allowed: {len(names)} names{also}"
        ),
    )


def pretrained(name: str) -> WeightsEnum:
    """torchvision's weights for `build(name)`: IMAGENET1K_V1 if it exists.

    Otherwise (vit_h_14, regnet_y_128gf), the weights with the smallest crop, which is the builder's
    own input size. Raises UsageError for an unknown name.
    """
    from torchvision.models import get_model_weights

    if name not in ARTICLE and name not in (names := all_models()):
        raise unknown_name("model", name, names)
    choices = list(get_model_weights(name))
    for weights in choices:
        if weights.name == "IMAGENET1K_V1":
            return weights
    return min(choices, key=lambda weights: weights.transforms().crop_size[0])


def input_size(name: str) -> int:
    """The height and width of a model's input, in pixels."""
    return int(preprocess(name).crop_size[0])


def preprocess(name: str) -> Any:
    """The preprocessing of the model's own weights, from a PIL image to [3, size, size].

    It is torchvision's transform of `pretrained(name)`, with attributes crop_size, mean and std.
    """
    return pretrained(name).transforms()


def labels() -> list[str]:
    """ImageNet's 1000 class labels, in the order of the logits."""
    from torchvision.models import ResNet18_Weights

    return list(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def build(name: str) -> nn.Module:
    """A model in evaluation mode, float32, on the CPU: [n, 3, size, size] to logits [n, 1000].

    It is the same as torchvision's with pretrained weights: the auxiliary classifiers of googlenet
    and inception_v3 are off, and both normalise their input again. Parameters that would be random
    are zero until weights are applied. Raises UsageError for an unknown name.
    """
    from . import builders

    if name not in ARTICLE and name not in (names := all_models()):
        raise unknown_name("model", name, names)
    return builders.build(name).eval()
