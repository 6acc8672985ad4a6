"""Fine-tuning two towers on spots with accelerate: settings, data, steps, checkpoints, what comes out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
