"""The data of runs and their plots."""
