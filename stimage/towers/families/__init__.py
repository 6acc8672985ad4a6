"""Families of image encoders: how each library makes one of a name, and which poolings the encoder offers."""
