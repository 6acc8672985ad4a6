"""Code that scripts share: options, and the ending of a script by an error."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
