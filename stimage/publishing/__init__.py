"""A root as Parquet shards with a card, made by any engine, and pushed to the Hub."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
