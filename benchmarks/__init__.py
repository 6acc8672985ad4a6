"""Each headline figure of the project beside what a user would otherwise run on the same file, and beside its limit."""
