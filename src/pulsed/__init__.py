"""pulsed: the daemon that owns the control electronics of a superconducting-qubit lab.

The folders at the root of the repository are the subpackages of this one; see
``docs/explanation/architecture.md`` for the floors and what may import what.
"""

__version__ = "0.1.0"
