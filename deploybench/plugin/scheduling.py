"""Distributes tests with pytest-xdist: all cases of a model go to one worker.

So the model, its reference and its artifacts are built only once.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from ..runner.options import RunOptions
from . import OPTIONS, case_id


class ModelScheduling(LoadScopeScheduling):
    """Distributes tests by model, and any others one by one."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self._models = models_by_case(config.stash[OPTIONS])

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid, self._models)


def models_by_case(run: RunOptions) -> dict[str, str]:
    """The model of each case, by what stands in the brackets of its test id."""
    return {
        case_id(run, model.name, backend, size): model.name for model, backend, size in run.cases()
    }


def scope(nodeid: str, models: dict[str, str]) -> str:
    """The file and model of a case, as in `file::test[model-backend]`.

    Names of models and of backends may have hyphens, so an id alone does not tell.
    """
    test, _, case = nodeid.partition("[")
    model = models.get(case.removesuffix("]"))
    return f"{test}[{model}" if model else nodeid
