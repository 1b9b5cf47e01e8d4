"""One weight off by a percent: the classes may well stay, the logits do not."""

import copy

import torch

from deploybench.backends.base import Backend
from deploybench.backends.session import InProcessSession


class Wrong(Backend):
    name, title, order = "wrong", "Wrong", 90

    def load(self, module, artifact):
        module = copy.deepcopy(module)
        with torch.no_grad():
            next(module.parameters()).mul_(1.01)
        return InProcessSession(module, self.settings)
