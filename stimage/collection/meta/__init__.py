"""Making the meta file, and checking one that exists."""
