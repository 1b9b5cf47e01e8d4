"""Where a deployed form leaves eager: the error of each layer of a model, as `explain` finds it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerError:
    """The error of one call of a layer.

    name: its path, such as `layer1.0.relu`; from the second call on with `@1`, `@2` and so on.
    kind: the class of the module. error: the largest distance of its value from float64, in units
    of eager's own at this layer; infinite for NaN; None if the deployed form has no such value,
    because it was fused with the next one. share: the same distance as a share of the layer's
    largest value.
    """

    name: str
    kind: str
    error: float | None
    share: float | None

    def to_json(self) -> dict[str, Any]:
        """As JSON: an infinite error is the text "inf"."""
        error, share = _finite(self.error), _finite(self.share)
        return {"layer": self.name, "kind": self.kind, "error": error, "share": share}


@dataclass(frozen=True)
class Explanation:
    """The errors of all layers of a model through a backend, in the order in which eager ran them.

    agrees, verdict, reason: of the deployed form, as in an Agreement. error: of its output in units
    of eager's. observed_error: the same once the values of the layers are outputs too, which keeps
    a runtime from fusing them. limit: the largest error that rounding explains.
    """

    model: str
    backend: str
    agrees: bool
    verdict: str
    reason: str
    error: float
    observed_error: float
    limit: float
    layers: tuple[LayerError, ...]

    @property
    def first(self) -> LayerError | None:
        """The first layer whose error is larger than rounding explains; None if there is none."""
        beyond = (each for each in self.layers if each.error is not None)
        return next((each for each in beyond if (each.error or 0.0) > self.limit), None)

    @property
    def is_same_when_observed(self) -> bool:
        """Whether seeing the layers has left the deployed form as wrong, or as right, as it was."""
        return (self.error > self.limit) == (self.observed_error > self.limit)

    def to_json(self) -> dict[str, Any]:
        """As JSON, with the first layer beyond the limit by name."""
        return {
            "model": self.model,
            "backend": self.backend,
            "agrees": self.agrees,
            "verdict": self.verdict,
            "reason": self.reason,
            "error": _finite(self.error),
            "observed_error": _finite(self.observed_error),
            "limit": self.limit,
            "first": self.first.name if self.first else None,
            "layers": [each.to_json() for each in self.layers],
        }


def _finite(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)
