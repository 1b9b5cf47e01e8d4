"""Distributes tests with pytest-xdist: all cases of a model go to one worker.

So the model, its reference and its artifacts are built only once.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling


class ModelScheduling(LoadScopeScheduling):
    """Distributes tests by model, and any others one by one."""

    def _split_scope(self, nodeid: str) -> str:
        """The file and model of a case, as in `file::test[model-backend]`."""
        test, _, case = nodeid.partition("[")
        # Names of models have no hyphen; names of backends may have one.
        model, _, _ = case.partition("-")
        return f"{test}[{model}" if model else nodeid
