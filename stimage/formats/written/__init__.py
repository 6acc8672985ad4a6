"""Slides of a root in formats that others read: a file a format."""
