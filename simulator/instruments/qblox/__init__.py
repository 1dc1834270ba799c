"""An emulated Qblox Cluster: the maker's own SCPI layer and assembler before an interpreter of what was assembled."""
