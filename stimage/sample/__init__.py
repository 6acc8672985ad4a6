"""A made root: small slides of all three technologies, whose regions, scale and gene programmes are known."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
