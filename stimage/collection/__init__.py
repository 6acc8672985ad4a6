"""Looking at a collection, slide by slide: its meta file, its checks, and the page to review it."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
