"""Train, validation and test: which slide falls where, so that no group of slides is on two sides."""
