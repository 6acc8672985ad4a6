"""Fine-tuning two towers on spots with accelerate: settings, data, steps, checkpoints, what comes out."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, "train")
