"""Models: where they and their weights come from, and the inputs they are run on."""

from .model import Model

__all__ = ["Model"]
