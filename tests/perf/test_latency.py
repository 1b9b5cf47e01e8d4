"""How long one call takes, for each model through each backend, once its answer is right."""

from deploybench.suite import test_latency

__all__ = ["test_latency"]
