"""The files of other MCP programs: where they are, what their servers mean in ours, and back.

They are read, linked and copied from, never written: what we change is always a standard server file.
"""
