"""Slides that are too large for memory: counts that stay in their file, and bins that are added to larger ones."""
