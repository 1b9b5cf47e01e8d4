"""Right for as long as it is checked beforehand, wrong when hot."""

from deploybench.backends.base import Backend
from deploybench.backends.session import InProcessSession


class Tiring(Backend):
    name, title, order = "tiring", "Tiring", 91

    def load(self, module, artifact):
        calls = []

        def forward(batch):
            calls.append(1)
            return module(batch) if len(calls) < 17 else module(batch).roll(1, dims=1)

        return InProcessSession(forward, self.settings)
