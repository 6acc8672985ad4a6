"""The data set authors' classifier, fitted in several processes."""
