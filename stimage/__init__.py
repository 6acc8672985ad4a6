"""Spots of histology slides with their gene expression: reading, checking, processing, training and evaluation."""

__version__ = "0.1.0"
