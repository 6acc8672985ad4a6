"""Results as tables: a line a score, and several results side by side."""
