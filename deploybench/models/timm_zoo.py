"""timm's models: `timm:NAME`, each with its own input size, mean and deviation.

timm is optional. Importing this module imports neither it nor torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, unknown_name
from .globs import chosen
from .model import OF_THE_RUN, Model

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

ZOO = "timm"


@dataclass(frozen=True)
class TimmModel(Model):
    """A model of timm, which has its own preprocessing."""

    def preprocessing(self) -> Callable[[Image], Tensor]:
        """That of its pretrained weights; see Model."""
        from timm.data import create_transform, resolve_data_config

        config = _config(self.name.partition(":")[2]).to_dict()
        own: Callable[[Image], Tensor] = create_transform(**resolve_data_config({}, config))
        return own


class Timm:
    """timm's models as one of the zoos; see zoos.Zoo."""

    prefix = ZOO

    def select(self, spec: str) -> list[Model]:
        """The models that a name, a glob or "all" means."""
        names = _names()
        found = chosen(
            spec,
            names,
            lambda nearest: (
                f"no model matches 'timm:{spec}': did you mean 'timm:{nearest}'? "
                f"allowed: {len(names)} names, globs, all"
            ),
        )
        return [self.model(name) for name in found]

    def model(self, name: str) -> Model:
        """The model of that name."""
        return _model(name)


@cache
def _model(name: str) -> Model:
    if name not in (names := _names()):
        raise unknown_name("model of timm", name, names, ", globs, all")
    return TimmModel(
        f"{ZOO}:{name}",
        build=partial(_build, name),
        inputs=partial(_images, name),
        task="classification" if _config(name).num_classes else "embedding",
        weights=OF_THE_RUN,
        reference=f"{ZOO}:{name}",
    )


@cache
def _names() -> list[str]:
    """Every model of the installed timm, sorted by name. Raises UsageError without timm."""
    if find_spec("timm") is None:
        raise UsageError("timm is not installed; pip install 'deploybench[timm]'")
    import timm

    return sorted(timm.list_models())


def _config(name: str) -> Any:
    """The pretrained weights' input size, mean, deviation and number of classes."""
    from timm.models import PretrainedCfg, get_pretrained_cfg

    return get_pretrained_cfg(name) or PretrainedCfg()


def _build(name: str) -> nn.Module:
    import timm

    # Both only choose among forms of the same layers those that can be scripted and exported.
    module: nn.Module = timm.create_model(name, pretrained=False, scriptable=True, exportable=True)
    return module


def _images(name: str, count: int, seed: int) -> Tensor:
    from . import images

    config = _config(name)
    _, height, width = config.input_size
    square: Tensor = images.batch(
        max(height, width), count, seed, tuple(config.mean), tuple(config.std)
    )
    return square[..., :height, :width].contiguous()
