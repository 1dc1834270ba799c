"""Speed and memory, each figure beside the reference that its budget names."""
