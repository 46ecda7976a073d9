"""Finds out why a server does not work: phase by phase, from its entry to a sign of life.

It connects anew and by itself, beside whatever runs; the last phases go the same way as every call.
"""
