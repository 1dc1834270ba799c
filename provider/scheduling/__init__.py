"""The scheduling stage of `transpile`: when everything is played, and pulses in idle time against always-on ZZ.

Coupled qubits that wait, or that wait beside a gate, turn each other: H/h = zz·n₁n₂ with n = (1 − Z)/2, that is
zz/4·(Z₁Z₂ − Z₁ − Z₂) beside an energy. With s(t) the sign that x pulses give a qubit's Z, what is left of the first
term is the integral of s₁s₂ from one gate that does not commute with it to the next; pulses are put so that it
vanishes. The others are known turns about z, and virtual z undoes them. (Such sequences: Mundada et al., Phys. Rev.
Applied 12, 054023, 2019; over a colouring of the chip, and beside echoed gates: Seif et al., arXiv:2403.06852, 2024.)

:mod:`.timeline` says when operations are played, :mod:`.signs` what pulses do to ZZ, :mod:`.pulses` where they go,
:mod:`.passes` writes them into the circuit. All times are in dt.
"""
