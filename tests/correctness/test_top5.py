"""Whether each model, through each backend, gives eager's answer: top five classes and logits."""

from deploybench.suite import test_answers as test_top5

__all__ = ["test_top5"]
