"""Spots of a root as a Hugging Face data set, by the front door."""

from stimage_1k4m import gene_names, load

__all__ = ["gene_names", "load"]
