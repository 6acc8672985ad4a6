"""Cells: a slide's image for segmenters, what they find, and how many cells of each class a spot has."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
