"""The main job on real servers, told as it happens: run it with `make demo`."""
