"""The two tests of every model through every backend, for any repository's own test files.

They need `pytest_plugins = ["deploybench.plugin"]` in the conftest.py at the root of the tests.
Imports no torch.
"""

from .answers import test_answers
from .latency import test_latency

__all__ = ["test_answers", "test_latency"]
