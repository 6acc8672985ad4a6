"""What results are recomputed from: predictions of each tested spot, regressors, and the digests of all files."""
