"""Servers kept warm by a background process: where it is found, how it runs, how commands attach to it.

`place` and `trunkline.cli.front` run before anything else is imported and may import next to nothing.
"""
