"""How pytest-xdist shares out the tests: all of a model's cases go to one worker.

The worker then builds the model, its reference and its artifacts once.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling


class ModelScheduling(LoadScopeScheduling):
    """Shares tests out by model, and any others one by one."""

    def _split_scope(self, nodeid: str) -> str:
        """The file and model of a case, as in `file::test[model-backend]`."""
        test, _, case = nodeid.partition("[")
        # Names of models have no hyphen, those of backends may.
        model, _, _ = case.partition("-")
        return f"{test}[{model}" if model else nodeid
