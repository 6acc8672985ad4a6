"""Looking at a collection, slide by slide: its meta file, its checks, and the page to review it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
