"""How states of transmons evolve: Hamiltonians, propagators of pulses, and the kinds of states they act on."""
