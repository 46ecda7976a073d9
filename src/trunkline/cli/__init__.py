"""The `trunkline` command: what a person at a terminal, or a script, does with the runtime.

Nothing heavier than typer is imported before a command runs; every command imports what it needs.
"""
