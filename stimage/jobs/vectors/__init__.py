"""Vectors of spots: written into folders, and searched."""
