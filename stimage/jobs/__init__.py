"""A function for each job, on Python objects. `import stimage` offers these functions, and scripts call them."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
