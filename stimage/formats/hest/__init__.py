"""Slides of a root in the layout of HEST-1k (Jaume et al., NeurIPS 2024)."""
