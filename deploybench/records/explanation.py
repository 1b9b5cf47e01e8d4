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
from .fields import optional, parsed, required
from .kinds import Unfit

IDEAL_DB = 40.0
"""About the SQNR of values that were rounded to a grid of 8 bits over their range once."""


@dataclass(frozen=True)
class LayerError:
    """The error of one call of a layer.

    name: its path, such as `layer1.0.relu`; from the second call on with `@1`, `@2` and so on.
    kind: the class of the module. error: the largest distance of its value from float64, in units
    of eager's own at this layer; infinite for NaN; None if the deployed form has no such value,
    because it was fused with the next one. share: the same distance as a share of the layer's
    largest value. sqnr_db: the power of its values over that of their errors, over all inputs;
    infinite without an error, and None if unknown.
    """

    name: str
    kind: str
    error: float | None
    share: float | None
    sqnr_db: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON: an infinite value is the text "inf" or "-inf"."""
        names = {"error": self.error, "share": self.share, "sqnr_db": self.sqnr_db}
        values = {name: _finite(value) for name, value in names.items()}
        return {"layer": self.name, "kind": self.kind, **values}

    @classmethod
    def from_json(cls, content: Any) -> LayerError:
        """The inverse. Raises Unfit for JSON that is none."""
        return cls(
            required(content, "layer", kinds.text),
            required(content, "kind", kinds.text),
            required(content, "error", kinds.or_none(_size)),
            required(content, "share", kinds.or_none(_size)),
            optional(content, "sqnr_db", _decibels),
        )


@dataclass(frozen=True)
class Explanation:
    """The errors of all layers of a model through a backend, in the order in which eager ran them.

    agrees, verdict, reason: of the deployed form, as in an Agreement. error: of its output in units
    of eager's. observed_error: the same once the values of the layers are outputs too, which keeps
    a runtime from fusing them. limit: the largest error that rounding explains. precision: the
    reduced precision of the backend, such as int8, in which every layer is beyond that limit; None
    for any other.
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
    precision: str | None = None

    @property
    def named(self) -> LayerError | None:
        """The layer to look at; None if there is none.

        The first whose error is larger than rounding explains. In reduced precision, the one whose
        SQNR falls furthest below the lowest before it, at first that of an ideal grid of 8 bits.
        """
        if self.precision is None:
            beyond = (each for each in self.layers if each.error is not None)
            return next((each for each in beyond if (each.error or 0.0) > self.limit), None)
        return max(self.falls(), key=lambda fall: fall[1] - fall[2], default=(None,))[0]

    def falls(self) -> list[tuple[LayerError, float, float]]:
        """The layers with a lower SQNR than all before them: the lowest before it, and its own."""
        found, lowest = [], IDEAL_DB
        for layer in self.layers:
            if layer.sqnr_db is not None and layer.sqnr_db < lowest:
                found.append((layer, lowest, layer.sqnr_db))
                lowest = layer.sqnr_db
        return found

    @property
    def is_same_when_observed(self) -> bool:
        """Whether seeing the layers has left the deployed form as wrong, or as right, as it was.

        Not asked in reduced precision, where rounding is beyond the limit either way.
        """
        if self.precision is not None:
            return True
        return (self.error > self.limit) == (self.observed_error > self.limit)

    def to_json(self) -> dict[str, Any]:
        """As JSON, with the name of the layer to look at."""
        return {
            "model": self.model,
            "backend": self.backend,
            "agrees": self.agrees,
            "verdict": self.verdict,
            "reason": self.reason,
            "error": _finite(self.error),
            "observed_error": _finite(self.observed_error),
            "limit": self.limit,
            "precision": self.precision,
            "named": self.named.name if self.named else None,
            "layers": [each.to_json() for each in self.layers],
        }

    @classmethod
    def from_json(cls, content: Any) -> Explanation:
        """The inverse. Raises Unfit for JSON that is none."""
        texts = {name: required(content, name, kinds.text) for name in _TEXTS}
        sizes = {name: required(content, name, _size) for name in _SIZES}
        agrees = required(content, "agrees", kinds.flag)
        layers = required(content, "layers", kinds.list_of(LayerError.from_json))
        precision = optional(content, "precision", kinds.text)
        return cls(**texts, **sizes, agrees=agrees, layers=layers, precision=precision)


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


def _decibels(given: Any) -> float:
    """A ratio in dB, which may be infinite or negative."""
    return float(given) if given in ("inf", "-inf") else float(kinds.number(given))


def _finite(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)
