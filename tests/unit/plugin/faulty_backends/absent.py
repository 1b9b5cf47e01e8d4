"""Needs what no machine has."""

from deploybench.backends.base import Backend
from deploybench.errors import BackendUnavailable


class Absent(Backend):
    name, title, order = "absent", "Absent", 93

    def require(self):
        raise BackendUnavailable("absent needs gizmo, which is not installed: pip install gizmo")

    def load(self, module, artifact): ...
