"""Spots as batches of tensors, from a root or a published folder; embeddings as files."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, "train")
