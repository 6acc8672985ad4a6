"""What a model is worth: embeddings of slides, and stated protocols that choose, fit, predict and score."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
