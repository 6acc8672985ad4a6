"""Slides on two sides of a split that share content, a study or a patient."""
