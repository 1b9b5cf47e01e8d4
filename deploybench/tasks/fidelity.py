"""How much of a classifier is left in reduced precision, and whether that is within a budget.

Rounding to 8 bits changes answers, so a backend that declares it is not judged by the distance of
its logits, as in agreement.py, but by its answers on many images, against eager's. An image is one
trial. `WITHIN` and `OVER` are claims with a one-sided confidence of 95%, by exact bounds
(exact_bounds.py); where neither holds, it is `UNDECIDED`. Imports no torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import UsageError
from . import exact_bounds
from .exact_bounds import MOST_IMAGES, PairedChange

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray

WITHIN, OVER = "within budget", "over budget"
UNDECIDED, NOT_JUDGED, WRONG = "undecided", "not judged", "wrong"
STATUSES = (OVER, NOT_JUDGED, UNDECIDED, WITHIN)
"""The verdicts on an output that may be timed, from the worst to the best."""
AGREEMENT, ACCURACY = "agreement", "accuracy"
LEAST_SQNR = 10.0
"""In dB. Below it, the error is a third of the logits and more: a fault, and not rounding."""
STEPS = 255
"""Of a grid of 8 bits."""
BEST = 5
FORM = re.compile(r"(agreement|accuracy)\s*>=\s*([-+]?[0-9]*\.?[0-9]+)\s*(%?)")


@dataclass(frozen=True)
class Budget:
    """The least that must be left, with a confidence of 95%.

    measure: AGREEMENT, the share of images whose first class is eager's, or ACCURACY, the change of
    the share of right first classes, for which images need labels. least: as a share.
    """

    measure: str = AGREEMENT
    least: float = 0.99

    def __str__(self) -> str:
        least = f"{self.least:g}" if self.measure == AGREEMENT else f"{100 * self.least:g}%"
        return f"{self.measure}>={least}"


DEFAULT_BUDGET = Budget()


def parse_budget(given: str) -> Budget:
    """`agreement>=0.99`, `agreement>=99%` or `accuracy>=-0.5%`. Raises UsageError otherwise."""
    found = FORM.fullmatch(given.strip())
    forms = "use agreement>=0.99, or accuracy>=-0.5% with labelled images"
    if found is None:
        raise UsageError(f"--budget '{given}' is not a budget; {forms}")
    least = float(found[2]) / (100 if found[3] else 1)
    if found[1] == AGREEMENT and not 0 < least < 1:
        raise UsageError(f"--budget '{given}': an agreement is between 0 and 1; {forms}")
    if found[1] == ACCURACY and not -1 < least <= 0:
        raise UsageError(f"--budget '{given}': a loss of accuracy is between -1 and 0; {forms}")
    return Budget(found[1], least)


@dataclass(frozen=True)
class Fidelity:
    """The verdict on a classifier of reduced precision, and what it rests on.

    status: WITHIN, OVER, UNDECIDED, NOT_JUDGED or WRONG. reason: the verdict in words.
    images: how many were judged. first_equal, five_equal: of these, how many have eager's first
    class as their first, and among their first five. first_least: the exact one-sided bound of the
    first share. sqnr_db: the signal to quantisation noise ratio of the logits; None if they are
    equal. divergence: the mean Kullback-Leibler divergence of the probabilities from eager's, in
    nats.
    step: of a grid of 8 bits over the range of eager's logits. near_ties: the images with another
    first class where eager's first two logits are no farther apart than this step, so that
    rounding the logits alone could swap them. margin, missed_margin: the median distance of eager's
    first two logits, of all images and of those with another first class.
    change: of accuracy, on the images with a label; None without any.
    """

    status: str
    reason: str
    budget: Budget
    images: int = 0
    first_equal: int = 0
    five_equal: int = 0
    first_least: float | None = None
    sqnr_db: float | None = None
    divergence: float | None = None
    step: float | None = None
    near_ties: int = 0
    margin: float | None = None
    missed_margin: float | None = None
    change: PairedChange | None = field(default=None)

    @property
    def missed(self) -> int:
        """How many images have another first class than eager's."""
        return self.images - self.first_equal

    @property
    def plain(self) -> int:
        """How many of them are no near ties."""
        return self.missed - self.near_ties


def not_judged(why: str, budget: Budget) -> Fidelity:
    """The verdict where nothing can be claimed."""
    return Fidelity(NOT_JUDGED, f"not judged: {why}", budget)


def fault(output: Array, eager: Array) -> str:
    """What is wrong with an output, whatever the precision; empty if nothing is.

    Both are logits or probabilities [images, classes].
    """
    import numpy as np

    if output.shape != eager.shape:
        return f"the output has the shape {list(output.shape)} instead of {list(eager.shape)}"
    if not np.isfinite(output).all():
        return f"{int((~np.isfinite(output)).sum())} of {output.size} outputs are NaN or infinite"
    if _is_constant(output) and not _is_constant(eager):
        return f"the output is the same for all {len(output)} inputs"
    return ""


def judge(
    output: Array, eager: Array, budget: Budget, labels: Sequence[int | None] | None = None
) -> Fidelity:
    """The verdict on `output`; both are logits or probabilities [images, classes].

    labels: the right class of each image; None for one that has none.
    """
    import numpy as np

    if found := fault(output, eager):
        return Fidelity(WRONG, found, budget)
    output, eager = output.astype(np.float64), eager.astype(np.float64)
    sqnr = sqnr_db(output, eager)
    if sqnr is not None and sqnr < LEAST_SQNR:
        words = f"the SQNR of the logits is {sqnr:.1f} dB, less than {LEAST_SQNR:g} dB"
        return Fidelity(WRONG, words, budget, len(eager), sqnr_db=sqnr)
    count = min(BEST, eager.shape[1])
    first, answered = eager.argmax(1), output.argmax(1)
    five = np.argsort(-output, axis=1, kind="stable")[:, :count]
    missed = first != answered
    margins = _margins(eager)
    step = float((eager.max() - eager.min()) / STEPS)
    change = _change(first, answered, labels)
    equal = len(eager) - int(missed.sum())
    status, reason = _verdict(budget, len(eager), equal, change)
    return Fidelity(
        status,
        reason,
        budget,
        len(eager),
        equal,
        int((five == first[:, None]).any(1).sum()),
        exact_bounds.lower(equal, len(eager)),
        sqnr,
        divergence(output, eager),
        step,
        int((missed & (margins <= step)).sum()),
        float(np.median(margins)),
        float(np.median(margins[missed])) if missed.any() else None,
        change,
    )


def _verdict(
    budget: Budget, images: int, equal: int, change: PairedChange | None
) -> tuple[str, str]:
    if budget.measure == AGREEMENT:
        return _of_agreement(budget, images, images - equal)
    if change is None:
        return NOT_JUDGED, f"not judged: {budget} needs labelled images"
    return _of_accuracy(budget, change)


def _of_agreement(budget: Budget, images: int, missed: int) -> tuple[str, str]:
    equal = images - missed
    seen = f"{missed} of {images} images have another first class"
    low, high = exact_bounds.lower(equal, images), exact_bounds.upper(equal, images)
    if low >= budget.least:
        return WITHIN, f"within {budget}: {seen}, so the agreement is at least {low:.2%}"
    if high < budget.least:
        return OVER, f"over {budget}: {seen}, so the agreement is at most {high:.2%}"
    needed = exact_bounds.trials_needed(missed, budget.least)
    return UNDECIDED, (
        f"undecided, {budget}: {seen}, so the agreement is {low:.2%} to {high:.2%}; with no "
        f"further miss, {needed} images would settle it"
    )


def _of_accuracy(budget: Budget, change: PairedChange) -> tuple[str, str]:
    low, high = change.bounds()
    seen = (
        f"{change.gained} of {change.images} images became right and {change.lost} wrong "
        f"(McNemar's exact p {change.p_value:.2g})"
    )
    if low >= budget.least:
        return WITHIN, f"within {budget}: {seen}, so accuracy changes by at least {low:+.2%}"
    if high < budget.least:
        return OVER, f"over {budget}: {seen}, so accuracy changes by at most {high:+.2%}"
    needed = _images_for(budget, change)
    more = f"about {needed} images" if needed < MOST_IMAGES else "no number of images"
    return UNDECIDED, (
        f"undecided, {budget}: {seen}, so accuracy changes by {low:+.2%} to {high:+.2%}; with "
        f"these shares, {more} would settle it"
    )


def _images_for(budget: Budget, change: PairedChange) -> int:
    """How many images would decide, if gains and losses kept their shares."""
    above = change.estimate >= budget.least

    def decided(images: int) -> bool:
        low, high = change.scaled(images).bounds()
        return low >= budget.least if above else high < budget.least

    return exact_bounds.fewest(decided, change.images + 1)


def _change(
    first: Array, answered: Array, labels: Sequence[int | None] | None
) -> PairedChange | None:
    """The change of accuracy on the images with a label; None without any."""
    import numpy as np

    known = [place for place, label in enumerate(labels or ()) if label is not None]
    if not known:
        return None
    right = np.array([(labels or ())[place] for place in known])
    before, after = first[known] == right, answered[known] == right
    return PairedChange(len(known), int((after & ~before).sum()), int((before & ~after).sum()))


def sqnr_db(output: Array, eager: Array) -> float | None:
    """10 log10 of the power of eager's numbers over that of the error; None if there is none."""
    noise = float(((output - eager) ** 2).sum())
    signal = float((eager**2).sum())
    if noise == 0:
        return None
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def divergence(output: Array, eager: Array) -> float:
    """The mean over images of KL(eager || output), in nats; of logits, after a softmax."""
    import numpy as np

    ours, theirs = _log_probabilities(eager), _log_probabilities(output)
    return max(0.0, float((np.exp(ours) * (ours - theirs)).sum(1).mean()))


def _log_probabilities(outputs: Array) -> Array:
    import numpy as np

    if (outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=1e-3):
        return np.log(np.maximum(outputs, np.finfo(np.float64).tiny))
    shifted = outputs - outputs.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _margins(outputs: Array) -> Array:
    """The distance of the first two numbers of each row; infinite for a single class."""
    import numpy as np

    if outputs.shape[1] < 2:
        return np.full(len(outputs), np.inf)
    best = np.sort(outputs, axis=1)[:, -2:]
    return best[:, 1] - best[:, 0]


def _is_constant(outputs: Array) -> bool:
    return len(outputs) > 1 and bool((outputs == outputs[0]).all())
