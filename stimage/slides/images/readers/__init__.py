"""Readers of a slide's image, one a library, behind one interface."""
