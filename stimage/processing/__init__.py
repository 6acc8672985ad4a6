"""From spots to examples: the vocabulary, gene panels, and Arrow tables."""
