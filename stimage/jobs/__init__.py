"""A function a job, on Python objects: what `import stimage` gives, and what scripts call."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
