"""What every room stands on: errors, files of a root wherever it is, text tables, writing whole or not at all."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
