"""How many µm a pixel is, and what tells it."""
