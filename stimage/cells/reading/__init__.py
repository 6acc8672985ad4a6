"""Files of cells, as segmenters write them."""
