"""Is a deployed PyTorch vision model still the same model, and how fast is it here?"""

__version__ = "0.2.0"
