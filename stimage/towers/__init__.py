"""Encoders: image towers as they come, and two towers to be trained together."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
