"""The demo: which slides of a root it takes, running its steps so that a rerun goes on, and its report."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
