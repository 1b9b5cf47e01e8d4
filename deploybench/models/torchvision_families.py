"""torchvision's models beyond image classification: segmentation, detection and video.

They are named `torchvision.models.segmentation:NAME` or `torchvision.models.segmentation.NAME`, and
so on. Importing this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import unknown_name
from ..tasks.detection import Detection
from ..tasks.task import Task
from .globs import chosen
from .model import OF_THE_RUN, Model

if TYPE_CHECKING:
    from torch import Tensor, nn

FRAMES = 16
"""The number of frames of a clip."""

AUXILIARY = "aux_classifier."
"""What pretrained segmentation models have for training, and a model built without weights not."""


@dataclass(frozen=True)
class FamilyModel(Model):
    """A model of one of torchvision's other families."""

    def pretrained_state(self) -> tuple[Mapping[str, Any], Path]:
        """torchvision's weights for it, checked against the hash in their file name."""
        from torchvision.models import get_model_weights

        from .weights import download

        state, path = download(self.name, get_model_weights(self.name).DEFAULT)
        inside = "model." if self.task_name == "detection" else ""
        return {f"{inside}{k}": v for k, v in state.items() if not k.startswith(AUXILIARY)}, path


class Family:
    """One of torchvision's families as a zoo; see zoos.Zoo.

    name: of the module in torchvision.models.
    """

    def __init__(
        self,
        name: str,
        task: Callable[[str], str | Task],
        inputs: Callable[[str, int, int], Tensor],
        build: Callable[[str], nn.Module],
    ) -> None:
        self.prefix = f"torchvision.models.{name}"
        self._name, self._task, self._inputs, self._build = name, task, inputs, build
        self.model = cache(self._model)

    def names(self) -> list[str]:
        """Every model of the family that the installed torchvision lists, sorted by name."""
        import torchvision

        family = getattr(torchvision.models, self._name)
        return sorted(torchvision.models.list_models(module=family))

    def select(self, spec: str) -> list[Model]:
        """The models that a name, a glob or "all" means."""
        names = self.names()
        found = chosen(
            spec,
            names,
            lambda nearest: (
                f"no model matches '{self.prefix}:{spec}': did you mean '{nearest}'? "
                f"allowed: {', '.join(names)}, all"
            ),
        )
        return [self.model(name) for name in found]

    def _model(self, name: str) -> Model:
        if name not in (names := self.names()):
            raise unknown_name(f"model of {self.prefix}", name, names, ", globs, all")
        return FamilyModel(
            name,
            build=partial(self._build, name),
            inputs=partial(self._inputs, name),
            task=self._task(name),
            weights=OF_THE_RUN,
            reference=f"{self.prefix}:{name}",
        )


def _segmentation_images(name: str, count: int, seed: int) -> Tensor:
    from . import images

    transforms = _transforms(name)
    size = int(transforms.resize_size[0])
    return images.batch(size, count, seed, tuple(transforms.mean), tuple(transforms.std))


def _detection_images(name: str, count: int, seed: int) -> Tensor:
    """Images between 0 and 1: detectors normalise and scale their input themselves."""
    from . import images

    size = next((int(part) for part in ("300", "320") if part in name), 800)
    return images.batch(size, count, seed, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def _clips(name: str, count: int, seed: int) -> Tensor:
    """Images that move by a pixel from frame to frame: [count, 3, frames, height, width]."""
    import torch

    from . import images

    transforms = _transforms(name)
    size = int(transforms.crop_size[0])
    stills = images.batch(size, count, seed, tuple(transforms.mean), tuple(transforms.std))
    return torch.stack([stills.roll(frame, -1) for frame in range(FRAMES)], dim=2)


def _transforms(name: str) -> Any:
    from torchvision.models import get_model_weights

    return get_model_weights(name).DEFAULT.transforms()


def _detection(name: str) -> Task:
    """The task with the limits that torchvision's builder of that name gives the detector."""
    for part, limits in {
        "ssd300": (0.01, 200, 0.45),
        "ssdlite320": (0.001, 300, 0.55),
        "retinanet": (0.05, 300, 0.5),
        "fcos": (0.2, 100, 0.6),
    }.items():
        if name.startswith(part):
            return Detection(*limits)
    return Detection(0.05, 100, 0.5)


def _plain(name: str) -> nn.Module:
    from . import family_builders

    return family_builders.build(name)


def _detector(name: str) -> nn.Module:
    from . import family_builders

    return family_builders.Detector(family_builders.build(name))


FAMILIES = (
    Family("segmentation", lambda name: "segmentation", _segmentation_images, _plain),
    Family("detection", _detection, _detection_images, _detector),
    Family("video", lambda name: "classification", _clips, _plain),
)
