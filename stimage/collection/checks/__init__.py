"""The faults of slides, as data."""
