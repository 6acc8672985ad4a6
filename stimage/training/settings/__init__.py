"""Settings of a run: groups of fields, read from YAML files and overrides, and described in help and documentation."""
