"""The former place of the loader of batches, which documents named."""

import warnings

from stimage.loading.batches import spot_loader

__all__ = ["spot_loader"]
warnings.warn("stimage.modeling.batches: import spot_loader from stimage.loading", FutureWarning, stacklevel=2)
