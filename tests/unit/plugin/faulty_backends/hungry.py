"""Room for one image, and no more."""

import torch

from deploybench.backends.base import Backend
from deploybench.backends.session import InProcessSession


class Hungry(Backend):
    name, title, order = "hungry", "Hungry", 94

    def load(self, module, artifact):
        def forward(batch):
            if len(batch) > 1:
                raise torch.OutOfMemoryError("no room for 2")
            return module(batch)

        return InProcessSession(forward, self.settings)
