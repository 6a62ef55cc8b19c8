"""The lowest state of a matrix product operator by sweeps over one or two sites (density-matrix renormalisation).

The chain is seen from both ends at once. An *end* is a stack of isometries (outer bond, 2, inner bond) from its end of
the chain inwards; between the ends stands the centre. A step pops a site from the end ahead and pushes it on the end
behind, and a sweep back is the same sweep with the ends exchanged: there is one direction only.

What an end means for the sites in hand is its *block* (bra, operator, ket): its part of the Hamiltonian in the basis of
its inner bond. Between two blocks the state is a matrix, and applying the Hamiltonian is two matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qeqprop.engine.matrix_products import Tensors
from qeqprop.interfaces import NumberArray

_KRYLOV = 8  # vectors of one local search: between sweeps everything else changes, so that more are wasted
_GAIN = 0.1  # the factor by which a local search reduces its residual
_ROUNDING = 1e-15  # relative to an energy


class Block(NamedTuple):
    """What the end of a chain means for its neighbour.

    Attributes:
        hamiltonian: (bra, operator, ket).
        overlaps: (bra, bond of the other state) with every state to avoid.
    """

    hamiltonian: NumberArray
    overlaps: tuple[NumberArray, ...]


@dataclass(eq=False)
class End:
    """One end of a chain, from the end inwards.

    Attributes:
        operator: the tensors of the whole chain's operator, outer bond first.
        avoided: the states to avoid, likewise.
        tensors: the isometries of this end's sites.
        blocks: one more than there are tensors: before any site, after the first, and so on.
    """

    operator: Tensors
    avoided: Sequence[Tensors]
    tensors: Tensors
    blocks: list[Block]

    def grown(self, depth: int) -> Block:
        """The block of ``depth`` sites with its next site beside it: the bonds become pairs (bond, site)."""
        block, operator = self.blocks[depth], self.operator[depth]
        hamiltonian = np.tensordot(block.hamiltonian, operator, (1, 0)).transpose(0, 3, 2, 1, 4)
        bra, _, bond, ket, _ = hamiltonian.shape
        overlaps = (
            np.tensordot(overlap, state[depth], (1, 0)).reshape(2 * bra, -1)
            for overlap, state in zip(block.overlaps, self.avoided, strict=True)
        )
        return Block(hamiltonian.reshape(2 * bra, bond, 2 * ket), tuple(overlaps))

    def push(self, grown: Block, isometry: NumberArray) -> None:
        """Takes in a site: ``isometry`` (2 bond, inner bond) chooses the states of the grown block that are kept."""
        rows, bond, _ = grown.hamiltonian.shape
        half = grown.hamiltonian.reshape(rows * bond, rows) @ isometry
        bra = isometry.conj().T
        hamiltonian = (bra @ half.reshape(rows, -1)).reshape(len(bra), bond, len(bra))
        self.tensors.append(isometry.reshape(rows // 2, 2, -1))
        self.blocks.append(Block(hamiltonian, tuple(bra @ overlap for overlap in grown.overlaps)))

    def pop(self) -> NumberArray:
        """Gives its innermost site away."""
        self.blocks.pop()
        return self.tensors.pop()


@dataclass(eq=False)
class Chain:
    """A state under way; its centre (left bond, 2, right bond) is the last site.

    Attributes:
        behind, ahead: the two ends.
        centre: the site in hand, normalised.
        energy: of the state, without what states to avoid cost.
        residual: root of the sum of squares of the local residuals ``||H psi - E psi||`` that the last sweep met: how
            far the state is from being stationary among states of the same bonds (one site), or of free bonds (two).
    """

    behind: End
    ahead: End
    centre: NumberArray
    energy: float = np.inf
    residual: float = np.inf

    @classmethod
    def of(cls, operator: Tensors, tensors: Tensors, avoided: Sequence[Tensors] = ()) -> Chain:
        """A chain in a given state, which need not be normalised or canonical.

        Args:
            operator: the Hamiltonian.
            tensors: the state.
            avoided: states whose projectors count as energies on top: the lowest state is then orthogonal to those that
                are eigenstates, if their squared norms are larger than the distance of their levels.
        """
        edge = Block(np.ones((1, 1, 1)), (np.ones((1, 1)),) * len(avoided))
        behind = End(operator, avoided, [], [edge])
        ahead = End(
            [tensor.swapaxes(0, 1) for tensor in reversed(operator)],
            [[tensor.swapaxes(0, 2) for tensor in reversed(state)] for state in avoided],
            [],
            [edge],
        )
        centre = tensors[0]
        for depth, tensor in enumerate(tensors[1:]):
            isometry, rest = np.linalg.qr(centre.reshape(2 * len(centre), -1))
            behind.push(behind.grown(depth), isometry)
            centre = np.tensordot(rest, tensor, (1, 0))
        return cls(behind, ahead, centre / np.linalg.norm(centre))

    @property
    def tensors(self) -> Tensors:
        """The state, left-canonical: every site but the last is an isometry."""
        return [*self.behind.tensors, self.centre]

    @property
    def bond(self) -> int:
        """The largest bond."""
        return max(tensor.shape[0] for tensor in self.tensors)

    def sweep(self, goal: float) -> None:
        """Site by site to the other end and back, bonds as they are.

        Where it stands still the energy is stationary among all states of these bonds.

        Args:
            goal: local residual that is good enough.
        """
        for _ in range(2):
            self._turn()
            squares = 0.0
            for depth in range(len(self.ahead.tensors) + 1):
                grown = self.behind.grown(depth)
                matrix = self.centre.reshape(2 * len(self.centre), -1)
                self.energy, matrix, residual = _lowest(grown, self.ahead.blocks[-1], matrix, goal)
                squares += residual**2
                if self.ahead.tensors:
                    isometry, rest = np.linalg.qr(matrix)
                    self.behind.push(grown, isometry)
                    self.centre = np.tensordot(rest, self.ahead.pop(), (1, 2)).swapaxes(1, 2)
                else:
                    self.centre = matrix.reshape(self.centre.shape)
            self.residual = float(np.sqrt(squares))

    def grow(self, goal: float, bond: int, cutoff: float, mixing: float = 0.0) -> None:
        """Pair by pair to the other end and back; every bond becomes as large as it has to be.

        Args:
            goal: local residual that is good enough.
            bond: the largest bond.
            cutoff: largest weight of the density matrix that may be dropped at one bond.
            mixing: weight of what the Hamiltonian adds to the density matrix before it is cut. Without it a coupling of
                distant sites is never noticed: White, Phys. Rev. B 72, 180403 (2005).
        """
        for _ in range(2):
            self._turn()
            squares = 0.0
            while self.ahead.tensors:
                grown = self.behind.grown(len(self.behind.tensors))
                site = self.ahead.pop()
                other = self.ahead.grown(len(self.ahead.tensors))
                matrix = self.centre.reshape(-1, self.centre.shape[2]) @ site.reshape(-1, site.shape[2]).T
                self.energy, matrix, residual = _lowest(grown, other, matrix, goal)
                squares += residual**2
                isometry = _principal(_density(matrix, grown.hamiltonian, mixing), min(bond, matrix.shape[1]), cutoff)
                self.behind.push(grown, isometry)
                rest = isometry.conj().T @ matrix
                self.centre = (rest / np.linalg.norm(rest)).reshape(len(rest), -1, 2).swapaxes(1, 2)
            self.residual = float(np.sqrt(squares))

    def _turn(self) -> None:
        self.behind, self.ahead = self.ahead, self.behind
        self.centre = self.centre.swapaxes(0, 2)


def _density(matrix: NumberArray, hamiltonian: NumberArray, mixing: float) -> NumberArray:
    """The density matrix ``M M^dagger`` of the left half, mixed with those of all ``H_b M``, b the operator's bond."""
    density = matrix @ matrix.conj().T
    if not mixing:
        return density
    driven = (hamiltonian.reshape(-1, len(matrix)) @ matrix).reshape(len(matrix), -1)
    extra = driven @ driven.conj().T
    return density + mixing / max(np.trace(extra).real, np.finfo(np.float64).tiny) * extra


def _principal(density: NumberArray, bond: int, cutoff: float) -> NumberArray:
    """The leading eigenvectors of a density matrix: at most ``bond``, dropping at most the weight ``cutoff``."""
    weights, vectors = np.linalg.eigh(density)
    dropped = np.cumsum(np.maximum(weights, 0.0))
    return vectors[:, -min(bond, max(1, int(np.sum(dropped > cutoff)))) :]


def _lowest(left: Block, right: Block, start: NumberArray, goal: float) -> tuple[float, NumberArray, float]:
    """Energy, state and first residual of a Lanczos search for the lowest state between two blocks.

    It begins with the state there is, and stops when the residual is below ``goal`` or small against the first one.
    """
    rows, columns = start.shape
    width = left.hamiltonian.shape[1]
    before = left.hamiltonian.reshape(rows * width, rows)
    after = right.hamiltonian.transpose(1, 2, 0).reshape(width * columns, columns)
    avoided = [(a @ b.T).ravel() for a, b in zip(left.overlaps, right.overlaps, strict=True)]
    vector = start.ravel() / np.linalg.norm(start)
    steps = min(_KRYLOV, start.size)
    basis = np.empty((steps, start.size), dtype=np.result_type(vector, before, after, *avoided))
    projected = np.zeros((steps, steps))  # the Hamiltonian in this basis: tridiagonal, the lower triangle will do
    first, step = 0.0, 0
    while True:
        basis[step] = vector
        image = ((before @ vector.reshape(rows, columns)).reshape(rows, -1) @ after).ravel()
        for other in avoided:
            image = image + other * np.vdot(other, vector)
        projected[step, step] = np.vdot(vector, image).real
        known = basis[: step + 1]
        for _ in range(2):  # orthogonal to all before, twice against rounding
            image = image - (known.conj() @ image) @ known
        length = np.sqrt(np.vdot(image, image).real)
        energies, mixtures = np.linalg.eigh(projected[: step + 1, : step + 1])
        energy, mixture = energies[0], mixtures[:, 0]
        residual = float(length * abs(mixture[-1]))
        if step == 0:
            first = residual
            goal = max(goal, _GAIN * first, _ROUNDING * abs(energy))
        if residual <= goal or step + 1 == steps:
            break
        step += 1
        projected[step, step - 1] = length
        vector = image / length
    state = mixture @ known
    state = state / np.linalg.norm(state)
    penalty = sum(abs(np.vdot(other, state)) ** 2 for other in avoided)
    return float(energy - penalty), state.reshape(rows, columns), first
