"""Is a deployed PyTorch vision model still the same model, and how fast is it here?"""

from .models import Model

__version__ = "0.2.0"
__all__ = ["Model", "__version__"]
