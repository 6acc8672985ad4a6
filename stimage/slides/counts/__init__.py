"""Count files: rows of sparse counts, in order or at random."""
