"""Calls through layers: each layer wraps the next, and none knows a server."""
