"""Making the meta file, and holding one against what is known."""
