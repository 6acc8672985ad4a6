"""The page and the pictures in which a curator looks through a collection."""
