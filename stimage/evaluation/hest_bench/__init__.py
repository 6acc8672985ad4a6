"""HEST-Benchmark: its tasks, read from a downloaded folder, and its protocols (Jaume et al., NeurIPS 2024)."""
