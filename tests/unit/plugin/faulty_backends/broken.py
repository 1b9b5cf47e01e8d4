"""A library that gives up with an error of its own, several lines long."""

from deploybench.backends.base import Backend


class Broken(Backend):
    name, title, order = "broken", "Broken", 92

    def load(self, module, artifact):
        raise RuntimeError("kernel panic in layer 3\nbacktrace: ...")
