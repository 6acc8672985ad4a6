"""Genes: their numbers in a root, their names, panels and how these are chosen, and normalised counts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
