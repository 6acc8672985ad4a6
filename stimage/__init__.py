"""Spots of histology slides with their gene expression: reading, checking, processing, training and evaluation."""

import sys

__version__ = "0.1.0"

if sys.platform == "win32":  # it has no os.pread, no fork and no file locks of POSIX
    raise ImportError("stimage runs on Linux and macOS; on Windows, run it in WSL, the Linux of Windows")
