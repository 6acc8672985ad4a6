"""What is wrong with which slide, as data."""
