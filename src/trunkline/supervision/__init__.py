"""Keeps servers connected: one owner task each, one start at a time, shared by all who wait."""
