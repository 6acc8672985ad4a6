"""Pictures, in one style and one palette: arrays in, files out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
