"""The Qblox Cluster: programs in Q1ASM, and the driver over ``qblox-instruments``."""
