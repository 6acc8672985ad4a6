"""The data of a run: what they hold, by digests, and how many µm its patches are."""
