"""Handlers for the measurement of scaling: a folder of its own, as one mounts it."""
