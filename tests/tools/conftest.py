"""A daemon with the simulated rack for the tools of other people, and what the rack knows about the chip."""

import functools
import itertools

import numpy as np
import pytest
from qiskit import QuantumCircuit

from pulsed.cli.processes import OwnDaemon
from pulsed.cli.simulated_rack import ask_rack, find_control
from pulsed.provider import PulsedProvider

SEED = 11
"""Of the rack, before each test: the same shots each time."""


class Rack:
    """The rack behind a backend: its true values, and the exact probabilities of what is run on it."""

    def __init__(self, backend, control):
        self.backend = backend
        self.control = control
        self.truth = ask_rack(control, "truth")

    def seed(self, seed):
        ask_rack(self.control, "seed", seed=seed)

    def populations(self, circuits):
        """Return, for each circuit, the qubits that it reads and their joint populations of 0 and of 1 or more."""
        self.backend.run(circuits, shots=1).result(120)
        played = ask_rack(self.control, "predict")
        assert len(played) == len(circuits), "the circuits did not fit into one run of the rack"
        for entry in played:
            levels = np.array(entry["populations"])
            for axis in range(levels.ndim):
                low, high = np.split(levels, [1], axis)
                levels = np.concatenate([low, high.sum(axis, keepdims=True)], axis)
            yield entry["qubits"], levels

    @functools.cached_property
    def assignment(self):
        """What each qubit is read as, [read, was]: by the calibration set, less the preparations' own errors."""
        properties, found = self.backend.properties(), []
        for qubit in range(self.backend.num_qubits):
            prepared = []
            for flips in range(2):
                circuit = QuantumCircuit(self.backend.num_qubits, 1)
                if flips:
                    circuit.x(qubit)
                circuit.measure(qubit, 0)
                prepared.append(circuit)
            was = np.stack([one for _, one in self.populations(prepared)], axis=1)
            wrong = properties.prob_meas1_prep0(qubit), properties.prob_meas0_prep1(qubit)
            read = np.array([[1 - wrong[0], wrong[1]], [wrong[0], 1 - wrong[1]]])
            found.append(read @ np.linalg.inv(was))
        return found

    def exact_counts(self, circuits, shots=10**7):
        """Return the counts of circuits as they would be without the noise of ``shots`` shots."""
        counts = []
        for circuit, (qubits, populations) in zip(circuits, self.populations(circuits), strict=True):
            levels = populations
            for axis, qubit in enumerate(qubits):
                levels = np.moveaxis(np.tensordot(self.assignment[qubit], levels, (1, axis)), 0, axis)
            bits = {
                circuit.find_bit(item.qubits[0]).index: circuit.find_bit(item.clbits[0]).index
                for item in circuit.data
                if item.operation.name == "measure"
            }
            assert sorted(bits) == qubits
            found = {}
            for values in itertools.product((0, 1), repeat=len(qubits)):
                word = sum(value << bits[qubit] for qubit, value in zip(qubits, values, strict=True))
                found[f"{word:0{circuit.num_clbits}b}"] = round(shots * levels[values])
            counts.append(found)
        return counts


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with OwnDaemon(tmp_path_factory.mktemp("lab")) as daemon:
        client = daemon.wait(600)
        provider = PulsedProvider(client=client)
        backend = provider.get_backend("sim5")
        # On a machine that has not compiled its kernels yet, the rack tells its control socket after the first run.
        warm = QuantumCircuit(1, 1)
        warm.measure(0, 0)
        backend.run(warm, shots=1).result(600)
        rack = Rack(backend, find_control(daemon.home))
        assert rack.assignment
        yield backend, rack, daemon.home
        client.close()


@pytest.fixture
def home(lab):
    """The home of the daemon."""
    return lab[2]


@pytest.fixture
def backend(lab):
    return lab[0]


@pytest.fixture
def rack(lab):
    lab[1].seed(SEED)
    return lab[1]
