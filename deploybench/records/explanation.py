"""Where a deployed form leaves eager: the error of each layer of a model, as `explain` finds it.

`explain --format json` writes it, and `read` reads it back. Imports no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileError
from . import kinds
from .fields import parsed, required
from .kinds import Unfit


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

    @classmethod
    def from_json(cls, content: Any) -> LayerError:
        """The inverse. Raises Unfit for JSON that is none."""
        return cls(
            required(content, "layer", kinds.text),
            required(content, "kind", kinds.text),
            required(content, "error", kinds.or_none(_size)),
            required(content, "share", kinds.or_none(_size)),
        )


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

    @classmethod
    def from_json(cls, content: Any) -> Explanation:
        """The inverse. Raises Unfit for JSON that is none."""
        texts = {name: required(content, name, kinds.text) for name in _TEXTS}
        sizes = {name: required(content, name, _size) for name in _SIZES}
        agrees = required(content, "agrees", kinds.flag)
        layers = required(content, "layers", kinds.list_of(LayerError.from_json))
        return cls(**texts, **sizes, agrees=agrees, layers=layers)


_TEXTS = ("model", "backend", "verdict", "reason")
_SIZES = ("error", "observed_error", "limit")


def read(path: Path) -> Explanation:
    """What `explain --format json` wrote to a file. Raises FileError for any other file."""
    again = "write one with `deploybench explain MODEL BACKEND --format json`"
    try:
        return Explanation.from_json(parsed(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}; {again}") from error
    except Unfit as error:
        raise FileError(
            f"{path} is no explanation: {error.path or 'it'} {_why(error)}; {again}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is no explanation: it is not JSON; {again}") from error


def _why(error: Unfit) -> str:
    return f"is not {error.what}" if error.what else "is missing"


def _size(given: Any) -> float:
    """A distance, which may be infinite."""
    return math.inf if given == "inf" else float(kinds.amount(given))


def _finite(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)
