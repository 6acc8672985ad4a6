"""Reading a root: which slides it has, in which splits, and a slide's spots with their patches and counts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
