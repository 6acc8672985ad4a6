"""Models of spots: batches from spots."""
