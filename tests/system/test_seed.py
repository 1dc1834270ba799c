"""The seed of the rack decides every count that a user gets, and nothing else does."""

from qiskit import QuantumCircuit, transpile

from pulsed.cli.simulated_rack import ask_rack, find_control


def test_the_same_seed_gives_the_same_counts_and_another_seed_others(lab, backend):
    circuit = QuantumCircuit(5)
    for q in range(5):
        circuit.sx(q)
    circuit.ecr(0, 1)
    circuit.measure_all()
    circuit = transpile(circuit, backend, optimization_level=0, initial_layout=range(5))
    control = find_control(lab[0].home)

    def counts(seed):
        ask_rack(control, "seed", seed=seed)
        result = backend.run([circuit, circuit], shots=2000).result(60)
        return result.get_counts(0), result.get_counts(1)

    first = counts(41)
    again, other = counts(41), counts(42)
    assert again == first, "seed 41"
    assert other[0] != first[0], "seeds 41 and 42"
    assert first[0] != first[1], "the two circuits of a job share a random stream"
