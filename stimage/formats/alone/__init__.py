"""An image alone: a lattice of spots is laid on its tissue."""
