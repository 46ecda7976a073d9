"""Benchmarks of Trunkline against the official SDK and a bare asyncio floor, interleaved in one run."""
