"""A made root: small slides of all three technologies, whose regions, scale and gene programmes are known."""

from stimage.sample.root import make_sample

__all__ = ["make_sample"]
