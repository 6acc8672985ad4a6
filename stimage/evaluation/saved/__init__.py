"""The files to compute results from again: predictions of each tested spot, regressors, and digests of all files."""
