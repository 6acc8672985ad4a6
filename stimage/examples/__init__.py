"""What one example is: the builder's options, and spots as Arrow tables."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
