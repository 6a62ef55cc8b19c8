"""Sums over samples of spins whose mean is known to be zero: what one more heat-bath update would change.

Drawn anew with all others held, a spin s_k has the mean ``m_k = -tanh(h_k / T)``, h_k the field of the others, so that
a product A of spins changes by ``A u_k`` on average, ``u_k = m_k s_k - 1``, if it holds s_k. In equilibrium an update
changes no mean: ``<A sum_(k in A) u_k> = 0``.
"""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def sum_variates(graph, tables, common, coefficients, push, inverse, draws, plain, joint, pushed, begin, end):
    """Adds up the variates of every string A, of every ``A N``, and of N, for rows ``begin`` to ``end``.

    Args:
        graph, tables: see `spin_sweeps.run_chains`; the energies of the graph's strings make the fields.
        common: for every pair of a string A and a string B of N that share sites: (n_pairs,) A, (n_pairs,) B, and
            (n_pairs + 1,) where their sites begin in the last of the four, (n_common,).
        coefficients: (rows, n_strings) of the energies.
        push: (rows, n_strings) of N.
        inverse: one over the temperature.
        draws: (rows, samples, n_sites, chains) int8.
        plain, joint: (rows, n_strings, chains) to which the variates of A and of ``A N`` are added; not touched where
            `joint` has no rows.
        pushed: (rows, chains) the same for N.
    """
    starts, terms, begins, others = graph
    first, sites = tables
    ones, twos, places, shared = common
    n_sites, chains = draws.shape[2], draws.shape[3]
    n_strings = len(first) - 1
    u, field = np.empty((n_sites, chains)), np.empty(chains)
    values, moves = np.empty((n_strings, chains)), np.empty((n_strings, chains))
    n, moved, product = np.empty(chains), np.empty(chains), np.empty(chains)
    for row in range(begin, end):
        for sample in range(draws.shape[1]):
            spins = draws[row, sample]
            for site in range(n_sites):
                field[:] = 0.0
                for entry in range(starts[site], starts[site + 1]):
                    product[:] = coefficients[row, terms[entry]]
                    for place in range(begins[entry], begins[entry + 1]):
                        for chain in range(chains):
                            product[chain] *= spins[others[place], chain]
                    field += product
                for chain in range(chains):
                    u[site, chain] = -np.tanh(field[chain] * inverse) * spins[site, chain] - 1.0
            n[:] = 0.0
            moved[:] = 0.0
            for string in range(n_strings):
                value, move = values[string], moves[string]
                value[:] = 1.0
                move[:] = 0.0
                for place in range(first[string], first[string + 1]):
                    for chain in range(chains):
                        value[chain] *= spins[sites[place], chain]
                        move[chain] += u[sites[place], chain]
                for chain in range(chains):
                    plain[row, string, chain] += value[chain] * move[chain]
                c = push[row, string]
                if c != 0.0:
                    for chain in range(chains):
                        n[chain] += c * value[chain]
                        moved[chain] += c * value[chain] * move[chain]
            if len(joint):
                pushed[row] += moved
                for string in range(n_strings):
                    for chain in range(chains):
                        joint[row, string, chain] += values[string, chain] * (
                            moves[string, chain] * n[chain] + moved[chain]
                        )
                for pair in range(len(ones)):  # sites that both hold drop out of the product
                    one, two = ones[pair], twos[pair]
                    c = 2.0 * push[row, two]
                    if c != 0.0:
                        for place in range(places[pair], places[pair + 1]):
                            for chain in range(chains):
                                product[chain] = values[one, chain] * values[two, chain]
                                joint[row, one, chain] -= c * product[chain] * u[shared[place], chain]
