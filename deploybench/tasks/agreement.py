"""Whether two outputs are the same answer, and by what margin.

The rule is relative: each model brings its own yardstick. A reference is computed in float64, and
the distance of eager float32 from it, the largest absolute difference over all inputs and classes,
is one unit. An output agrees with the reference when its own largest difference is at most
ERROR_LIMIT units and its five best classes are the reference's, place by place, where two classes
may have traded places only if their reference logits lie closer than that tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

EXACT = "exact"
EQUAL_WITHIN_ROUNDING = "equal within rounding"
DIFFERENT = "different"

# How many times eager's own rounding error a backend may be away from the float64 reference. Other
# kernels sum in another order, which costs a few units; a wrong weight costs hundreds.
ERROR_LIMIT = 8.0

# By dtype, how far rounding can take eager from the float64 reference, as a share of the largest
# logit. Beyond it eager is wrong, and its error as the unit would excuse any answer. The largest
# shares of the article's 31 models on a CPU are 1.7e-5 in float32 and 0.27 in bfloat16; 15 of them
# have at most 0.025 in float16. TF32, which float32 may use, rounds 2**13 times as coarsely.
PLAUSIBLE_ERROR = {"float32": 0.1, "float16": 0.15, "bfloat16": 0.5}


@dataclass(frozen=True)
class Reference:
    """What the answer is, and how exactly float32 can be expected to hit it.

    logits: float64 [inputs, classes]. eager: float32 [inputs, classes], the run's own baseline.
    error: the unit, in logits: eager's largest absolute distance from `logits`.
    """

    logits: Tensor
    eager: Tensor
    error: float

    @classmethod
    def of(cls, logits: Tensor, eager: Tensor) -> Reference:
        """A reference from the float64 `logits` and the `eager` logits of the same inputs."""
        measured = (
            (eager.double() - logits).abs().nan_to_num(math.inf, posinf=math.inf).max().item()
        )
        import torch

        # Where eager hits the reference by luck, the unit is still the spacing of its own numbers.
        spacing = torch.finfo(eager.dtype).eps * logits.abs().max().item()
        # Logits that are all 0 have no spacing; _malformed() refuses them, but has to get so far.
        return cls(logits, eager, max(measured, spacing) or torch.finfo(eager.dtype).tiny)

    @property
    def margin(self) -> float:
        """The smallest gap between neighbours among the first six classes, in units of error.

        It says how much room there was before rounding alone could have changed the five best.
        """
        first_six = self.logits.topk(min(6, self.logits.shape[1]), dim=1).values
        return (first_six[:, :-1] - first_six[:, 1:]).min().item() / self.error

    def rows(self, rows: slice) -> Reference:
        """The reference of some of the inputs, with the unit of all."""
        return Reference(self.logits[rows], self.eager[rows], self.error)


@dataclass(frozen=True)
class Agreement:
    """A verdict on one output.

    verdict: EXACT (equal to eager to the bit), EQUAL_WITHIN_ROUNDING or DIFFERENT.
    error: the largest distance from the float64 reference, in units of eager's.
    margin: the smallest gap among the reference's first six classes, in the same units.
    inputs: how many inputs were compared. reason: what is wrong, in words, when DIFFERENT.
    """

    verdict: str
    error: float
    margin: float
    inputs: int
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the output may be called the same answer."""
        return self.verdict != DIFFERENT


def judge(output: Tensor, reference: Reference) -> Agreement:
    """Compare `output`, logits [inputs, classes] on the CPU, with `reference`."""
    import torch

    reason = _malformed(output, reference)
    error = float("inf")
    if not reason:
        error = (output.double() - reference.logits).abs().max().item() / reference.error
        reason = _wrong_class(output, reference) or _too_far(output, reference, error)
    if reason:
        verdict = DIFFERENT
    elif torch.equal(output, reference.eager):
        verdict = EXACT
    else:
        verdict = EQUAL_WITHIN_ROUNDING
    return Agreement(verdict, error, reference.margin, len(reference.logits), reason)


def _malformed(output: Tensor, reference: Reference) -> str:
    """What makes `output` no answer at all; empty if it is one."""
    expected = reference.eager
    if not math.isfinite(reference.error):
        return (
            f"eager itself gives no finite logits in {expected.dtype}, so that there is nothing to "
            "compare with"
        )
    if (reference.logits == reference.logits[:, :1]).all():
        return "eager gives the same logit for every class, which tells no answer from another"
    share = reference.error / max(reference.logits.abs().max().item(), reference.error)
    dtype = str(expected.dtype).removeprefix("torch.")
    if share > PLAUSIBLE_ERROR.get(dtype, 1.0):
        return (
            f"eager itself is {share:.2g} of the largest logit away from float64, more than "
            f"rounding in {dtype} can explain ({PLAUSIBLE_ERROR[dtype]:g}), so that there is "
            "nothing to compare with"
        )
    if output.shape != expected.shape:
        return f"shape {list(output.shape)} where {list(expected.shape)} was expected"
    if output.dtype != expected.dtype:
        return f"dtype {output.dtype} where {expected.dtype} was expected"
    for name, found in (("NaN", output.isnan()), ("infinity", output.isinf())):
        if found.any():
            row, column = found.nonzero()[0].tolist()
            count = found.sum().item()
            return f"{count} logits are {name}, the first for class {column} of input {row}"
    if len(output) > 1 and (output == output[0]).all() and (expected != expected[0]).any():
        return f"the output is the same for all {len(output)} inputs"
    return ""


def _wrong_class(output: Tensor, reference: Reference) -> str:
    """The first of the five best classes that is wrong, with both logits; empty if none is."""
    tolerance = ERROR_LIMIT * reference.error
    count = min(5, output.shape[1])
    answered = output.topk(count, dim=1).indices
    expected = reference.logits.topk(count, dim=1).indices
    gaps = reference.logits.gather(1, expected) - reference.logits.gather(1, answered)
    wrong = (answered != expected) & (gaps.abs() > tolerance)
    if not wrong.any():
        return ""
    row, place = (int(index) for index in wrong.nonzero()[0])
    got, want = int(answered[row, place]), int(expected[row, place])
    return (
        f"place {place + 1} of input {row} is class {got} with logit {output[row, got]:.6g}, "
        f"where the reference has class {want} with {reference.logits[row, want]:.6g} "
        f"and gives class {got} {reference.logits[row, got]:.6g}"
    )


def _too_far(output: Tensor, reference: Reference, error: float) -> str:
    """The class whose logit is farthest off, if that is beyond the limit; empty if it is not."""
    if error <= ERROR_LIMIT:
        return ""
    distance = (output.double() - reference.logits).abs()
    row, column = divmod(int(distance.argmax()), output.shape[1])
    return (
        f"class {column} of input {row} has logit {output[row, column]:.6g} where the reference "
        f"has {reference.logits[row, column]:.6g}: {error:.3g} times eager's error, "
        f"{ERROR_LIMIT:g} are allowed"
    )
