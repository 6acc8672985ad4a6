"""Looking at a collection, slide by slide."""
