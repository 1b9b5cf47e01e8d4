"""Faults that a deployment can have, planted one at a time, for the gate to catch.

Each fault takes a prepared model and yields pairs of a name and the logits of the faulty model for
its inputs: float32 [inputs, classes] on the CPU. A fault that a model cannot have, such as active
dropout in a model without dropout, yields nothing. When the generator is exhausted, the module is
unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from deploybench.models import images, torchvision_zoo, weights
from deploybench.runner.prepared_model import PreparedModel

Outputs = Iterator[tuple[str, Tensor]]
LAYERS = (nn.Conv2d, nn.Linear)
NORMS = (nn.BatchNorm2d, nn.LayerNorm)


def predict(module: nn.Module, images: Tensor) -> Tensor:
    """The logits of `images`, all in one batch."""
    with torch.inference_mode():
        return module(images)


def first_middle_last(module: nn.Module, kinds: tuple[type, ...]) -> list[tuple[str, nn.Module]]:
    """The first, middle and last module of the given kinds, by name; fewer without three."""
    found = [(name, child) for name, child in module.named_modules() if isinstance(child, kinds)]
    chosen = (0, len(found) // 2, len(found) - 1) if found else ()
    return [found[index] for index in dict.fromkeys(chosen)]


@contextmanager
def changed(tensor: Tensor, new: Tensor) -> Iterator[None]:
    """A context in which `tensor` has the values of `new`."""
    old = tensor.detach().clone()
    with torch.no_grad():
        tensor.copy_(new)
        try:
            yield
        finally:
            tensor.copy_(old)


def weights_scaled(prepared: PreparedModel) -> Outputs:
    """One layer's weights multiplied by 1.01."""
    for name, layer in first_middle_last(prepared.module, LAYERS):
        with changed(layer.weight, layer.weight * 1.01):
            yield f"weights of {name} scaled by 1.01", predict(prepared.module, prepared.inputs[0])


def largest_weight_lost(prepared: PreparedModel) -> Outputs:
    """The largest weight of one layer set to 0."""
    for name, layer in first_middle_last(prepared.module, LAYERS):
        without = layer.weight.detach().clone()
        without.view(-1)[without.abs().argmax()] = 0
        with changed(layer.weight, without):
            yield f"largest weight of {name} set to 0", predict(prepared.module, prepared.inputs[0])


def bias_lost(prepared: PreparedModel) -> Outputs:
    """The biases of one layer set to 0."""
    for name, layer in first_middle_last(prepared.module, LAYERS + NORMS):
        if layer.bias is not None:
            with changed(layer.bias, torch.zeros_like(layer.bias)):
                yield f"bias of {name} lost", predict(prepared.module, prepared.inputs[0])


def layer_left_out(prepared: PreparedModel) -> Outputs:
    """One normalisation, or without any, one activation, replaced by the identity."""
    left_out = first_middle_last(prepared.module, NORMS)
    for name, layer in left_out or first_middle_last(prepared.module, (nn.ReLU,)):
        parent = prepared.module.get_submodule(name.rpartition(".")[0])
        own = name.rpartition(".")[2]
        setattr(parent, own, nn.Identity())
        try:
            yield f"{name} left out", predict(prepared.module, prepared.inputs[0])
        finally:
            setattr(parent, own, layer)


def _left_in_training(prepared: PreparedModel, kinds: tuple[type, ...], name: str) -> Outputs:
    modules = [child for child in prepared.module.modules() if isinstance(child, kinds)]
    modules = [child for child in modules if getattr(child, "p", 1) > 0]
    if modules:
        state = {key: value.clone() for key, value in prepared.module.state_dict().items()}
        for child in modules:
            child.train()
        torch.manual_seed(0)
        # Not in inference mode: training mode updates the running statistics in place.
        with torch.no_grad():
            output = prepared.module(prepared.inputs[0])
        prepared.module.eval().load_state_dict(state)
        yield name, output


def batch_norm_in_training_mode(prepared: PreparedModel) -> Outputs:
    """Batch norm that uses the batch's own statistics."""
    return _left_in_training(prepared, (nn.BatchNorm2d,), "batch norm in training mode")


def dropout_left_on(prepared: PreparedModel) -> Outputs:
    """Dropout that still drops."""
    return _left_in_training(prepared, (nn.Dropout,), "dropout left on")


def wrong_input(prepared: PreparedModel) -> Outputs:
    """The right model on a wrongly prepared input."""
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (images.MEAN, images.STD))
    wrongly = {
        "red and blue swapped": prepared.inputs[0].flip(1),
        "normalisation forgotten": prepared.inputs[0] * std + mean,
        "input transposed": prepared.inputs[0].transpose(2, 3).contiguous(),
        "input ignored": torch.zeros_like(prepared.inputs[0]),
    }
    for name, batch in wrongly.items():
        yield name, predict(prepared.module, batch)


def wrong_output(prepared: PreparedModel) -> Outputs:
    """The right logits, passed on wrongly."""
    logits = predict(prepared.module, prepared.inputs[0])
    swapped = logits.clone()
    swapped[[0, 1]] = swapped[[1, 0]]
    one_nan = logits.clone()
    one_nan[-1, -1] = float("nan")
    yield "classes shifted by one", logits.roll(1, dims=1)
    yield "batch entries swapped", swapped
    yield "output of the previous call", logits.roll(1, dims=0)
    yield "one NaN", one_nan


def wrong_weights(prepared: PreparedModel) -> Outputs:
    """The weights of another seed, and the weights before a small training step."""
    other = torchvision_zoo.build(prepared.name)
    weights.apply(other, prepared.model, weights.parse("random"), seed=12345)
    yield "logits of another seed", predict(other, prepared.inputs[0])
    state = {key: value.clone() for key, value in prepared.module.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in prepared.module.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.mul_(1 + 1e-3 * noise)
    output = predict(prepared.module, prepared.inputs[0])
    prepared.module.load_state_dict(state)
    yield "yesterday's weights", output


def half_precision(prepared: PreparedModel) -> Outputs:
    """Arithmetic in 16 bits, with a result in float32."""
    state = {key: value.clone() for key, value in prepared.module.state_dict().items()}
    for dtype in (torch.float16, torch.bfloat16):
        output = predict(prepared.module.to(dtype), prepared.inputs[0].to(dtype)).float()
        prepared.module.float().load_state_dict(state)
        yield f"{dtype} called float32", output


FAULTS: tuple[Callable[[PreparedModel], Outputs], ...] = (
    weights_scaled,
    largest_weight_lost,
    bias_lost,
    layer_left_out,
    batch_norm_in_training_mode,
    dropout_left_on,
    wrong_input,
    wrong_output,
    wrong_weights,
    half_precision,
)
