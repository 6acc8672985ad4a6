"""Files as the data set's authors make them of slides: an image a spot, and tables of expression."""
