"""The numerical floor: Pauli sums on state vectors, eigenstates, response, measurement bases."""
