"""Encoders: image towers as they come, and two towers to be trained together."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, "train")
