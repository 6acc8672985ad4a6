"""From spots to examples: gene panels, and Arrow tables."""
