"""The numbers of genes: one vocabulary a root, and what data sets and shards say of the one that they are of."""
