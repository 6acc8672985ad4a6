"""Results of any kind: held against what they were computed of, and published."""
