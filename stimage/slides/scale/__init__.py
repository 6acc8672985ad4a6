"""µm per pixel: given, or estimated from the lattice of spots."""
