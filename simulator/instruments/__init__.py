"""The virtual instruments: SCPI over TCP and HiSLIP, a module for each model, and the runs of all together."""
