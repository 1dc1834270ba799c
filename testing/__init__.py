"""Doubles and the driver contract suite, for the authors of other drivers; no runtime code imports it."""
