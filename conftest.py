"""Loads the suite's plugin; imports no torch, so that `pytest-benchmark compare` stays fast."""

pytest_plugins = ["deploybench.plugin"]
