"""A root as Parquet shards with a card, made by any engine, and pushed to the Hub."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
