"""The space in which a trained model's images and genes, or text, meet: spots in it, and what is near in it."""
