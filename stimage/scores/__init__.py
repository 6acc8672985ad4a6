"""Arrays in, numbers out: probes, clusters, retrieval, ridge regression."""

from stimage.core.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, "evaluate")
