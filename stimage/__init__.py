"""Spots of histology slides with their gene expression: reading, checking, processing, training and evaluation.

A function a job, on Python objects. `open_root` says once which slides are meant; all others take what it returns, or
a path. `docs/tutorials/python.md` walks through them. A function loads what it needs when it is first called.
"""

import sys

from stimage.core.extras import attach

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = attach(__name__, __file__)

if sys.platform == "win32":  # it has no os.pread, no fork and no file locks of POSIX
    raise ImportError("stimage runs on Linux and macOS; on Windows, run it in WSL, the Linux of Windows")
