"""The demo: which slides of a root it takes, running its steps so that a rerun goes on, and its report."""
