"""The values that flow between the layers; no I/O here."""
