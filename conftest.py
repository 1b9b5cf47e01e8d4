"""Loads the suite's pytest plugin; it imports no torch, so that `pytest-benchmark compare` stays fast."""

pytest_plugins = ["deploybench.plugin"]
