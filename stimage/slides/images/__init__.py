"""Images of slides: patches in one pass, in the memory of a strip."""
