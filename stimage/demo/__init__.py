"""The demo: which slides of a root it takes, running its steps so that a rerun goes on, and its report."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
