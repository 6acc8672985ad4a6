"""HEST-1k's folder (Jaume et al., NeurIPS 2024) as a root: nothing is converted."""
