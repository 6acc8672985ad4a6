"""Genes: their numbers in a root, their names, panels and how these are chosen, and normalised counts."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
