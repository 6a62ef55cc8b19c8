"""What is computed: networks with parameters, a batch of inputs, targets and a nudge, the same for every side.

Every sample has a Hamiltonian of its own, all samples share the trainable parameters. The cost is the mean squared
error of random targets, so the error signal is a random linear readout of the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from qeqprop.datasets.field_probes import field_probes
from qeqprop.datasets.phases import cluster_ising_phases
from qeqprop.interfaces import FloatArray, Network
from qeqprop.networks.cluster_ising import cluster_sensor
from qeqprop.networks.spin_graph import spin_graph
from qeqprop.networks.transverse_ising import transverse_ising

BETA = 0.003
"""The nudge of every side that nudges: its bias, of second order, stays below the tolerance of the comparison."""


@dataclass(frozen=True, eq=False)
class Task:
    """One gradient to be computed.

    Attributes:
        name: for the tables.
        network: the network.
        theta: (n_trainable,) parameters.
        x: (batch, n_inputs) inputs.
        y: (batch, n_outputs) targets.
        beta: the nudge.
    """

    name: str
    network: Network
    theta: FloatArray
    x: FloatArray
    y: FloatArray
    beta: float = BETA

    @property
    def sites(self) -> int:
        return self.network.num_sites

    @property
    def batch(self) -> int:
        return len(self.x)

    @cached_property
    def coefficients(self) -> FloatArray:
        """The Hamiltonian of every sample, (batch, n_strings)."""
        return self.network.hamiltonians(self.theta, self.x).coefficients

    def error(self, sample: int, outputs: FloatArray) -> FloatArray:
        """The error signal ``batch dL/dy`` of one sample, (n_outputs,)."""
        return 2 * (outputs - self.y[sample]) / len(outputs)


def dense_ising(sites: int, batch: int) -> Task:
    """All-to-all transverse-field Ising with random J, h, g; the inputs are random fields on all sites, outputs all Z.

    ``theta = (J, h, g)``, J in the order of ``itertools.combinations``; ``H`` has the minus signs of the network.
    """
    random = np.random.default_rng(1000 * sites + batch)
    network = transverse_ising(
        sites=sites, n_inputs=sites, input_weights=False, n_outputs=sites, fields_x="trainable", fields_z="trainable"
    )
    couplings = random.normal(size=sites * (sites - 1) // 2) / np.sqrt(sites)
    fields = 0.3 * random.normal(size=sites)
    transverse = random.uniform(0.8, 1.2, size=sites)
    return _task("dense Ising", network, np.concatenate([couplings, fields, transverse]), batch, random)


def random_strings(sites: int, batch: int) -> Task:
    """Random Pauli strings of two to four letters over X, Y, Z, so that the Hamiltonian is complex."""
    random = np.random.default_rng(sites)
    labels: dict[str, None] = {}
    while len(labels) < 4 * sites:
        letters = np.full(sites, "I")
        places = random.choice(sites, size=int(random.integers(2, 5)), replace=False)
        letters[places] = random.choice(list("XYZ"), size=len(places))
        labels["".join(letters)] = None
    z = [SparsePauliOp.from_sparse_list([("Z", [site], 1.0)], sites) for site in range(sites)]
    network = Network.of(trainable=[SparsePauliOp(label) for label in labels], inputs=z, outputs=z)
    theta = random.normal(size=network.n_trainable) / 2
    return _task("random strings with Y", network, theta, batch, random)


def heisenberg(sites: int, batch: int) -> Task:
    """All pairs with random XX, YY and ZZ couplings in random fields."""
    z = [f"Z{site}" for site in range(sites)]
    network = spin_graph(
        sites=sites, edges="complete", bonds=("XX", "YY", "ZZ"), fields=("X", "Z"), inputs=z, outputs=z
    )
    random = np.random.default_rng(sites)
    theta = random.normal(size=network.n_trainable) / np.sqrt(sites)
    return _task("XX + YY + ZZ, all pairs", network, theta, batch, random)


def sensor(batch: int) -> Task:
    """The ten-qubit sensor of the phases of a cluster-Ising ring: the published inputs, couplings of order 1."""
    network = cluster_sensor(sites=8, sensors=2)
    samples = cluster_ising_phases(samples=batch, test_fraction=0.0).train
    theta = np.random.default_rng(0).uniform(-1, 1, size=network.n_trainable)
    return Task("cluster sensor", network, theta, samples.x, samples.y)


def probes() -> Task:
    """One spin in nine known fields: the smallest task there is, all overhead."""
    network = spin_graph(sites=1, edges=[], bonds=(), fields=("Z", "X"), inputs=("X0",), outputs=("Z0",))
    samples = field_probes(probes=9).train
    return Task("field probes", network, np.array([1.0, 0.4]), samples.x, samples.y)


def _task(name: str, network: Network, theta: FloatArray, batch: int, random: np.random.Generator) -> Task:
    x = random.normal(size=(batch, network.n_inputs))
    y = random.uniform(-1, 1, size=(batch, network.n_outputs))
    return Task(name, network, theta, x, y)
