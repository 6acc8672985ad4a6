"""The data set's own steps on a root: what its authors' pages make, under the names that they have there."""
