"""The composition root and the one front door: `connect` gives a `Trunk`."""
