"""What a model is worth: embeddings of slides, and stated protocols that choose, fit, predict and score."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, "evaluate")
