"""Benchmarks: many encoders on many tasks, and a table."""
