"""What other stacks keep in files, as a rack and a calibration set of ours, and back."""
