"""What the second tower takes of a spot: a panel's expression, a set of genes, another model's vector, a sentence."""
