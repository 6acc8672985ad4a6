"""Jobs of cells: slides for segmenters, what these find, and cells per spot."""
