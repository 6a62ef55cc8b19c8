"""Markov chains of Ising spins in lockstep: one site after the other, all chains of a block side by side.

``E = sum_t c_t prod_(k in t) s_k`` with spins of +1 and -1. The chains of one row share the coefficients c, so that the
field ``sum_(t holds k) c_t prod_(j in t, j != k) s_j`` of a site is a loop over couplings outside and chains inside.

Random numbers are a function of (key of the chain, sweep, site): four rounds of squaring a counter times the key
(Widynski). They depend on no other chain, on no thread and on no block. An update reads 31 bits, so that a probability
is right to 5e-10.

Source: Metropolis et al., J. Chem. Phys. 21, 1087 (1953); Hukushima & Nemoto, J. Phys. Soc. Jpn. 65, 1604 (1996);
Widynski, arXiv:2004.06278 (2020).
"""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import numpy as np
from numba import njit

METROPOLIS, HEAT_BATH = 0, 1

BLOCK = 32
"""Chains side by side: a few registers full, and the spins of a thousand sites still in the fast caches."""

_STEEPEST = 40.0
"""Largest exponent: beyond it a probability is 0 or 1 to all bits that are drawn."""

_UNIT = 1.0 / 2**31
_HALF = np.uint64(32)
_TOP = np.uint64(33)
_FIRST = np.uint64(2**63)
"""Counters from here on draw the first spins."""


@njit(cache=True, nogil=True, inline="always")
def _draw(key, counter):
    """31 random bits of a counter, as a non-negative number."""
    x = counter * key
    y = x
    z = y + key
    x = x * x + y
    x = (x >> _HALF) | (x << _HALF)
    x = x * x + z
    x = (x >> _HALF) | (x << _HALF)
    x = x * x + y
    x = (x >> _HALF) | (x << _HALF)
    return np.int32((x * x + z) >> _TOP)


@njit(cache=True, nogil=True, inline="always")
def _exp(x):
    """``exp(x)`` for ``|x| <= 40`` to 2e-13, without a branch: a polynomial of x / 512, squared nine times."""
    y = x * (1.0 / 512.0)
    e = 1.0 / 5040.0 + y * (1.0 / 40320.0)
    e = 1.0 / 720.0 + y * e
    e = 1.0 / 120.0 + y * e
    e = 1.0 / 24.0 + y * e
    e = 1.0 / 6.0 + y * e
    e = 0.5 + y * e
    e = 1.0 + y * e
    e = 1.0 + y * e
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    e = e * e
    return e * e


@njit(cache=True, nogil=True)
def first_spins(keys, spins):
    """Random spins (rows, n_sites, chains) from the keys (rows, chains)."""
    rows, sites, chains = spins.shape
    for row in range(rows):
        for site in range(sites):
            for chain in range(chains):
                bit = _draw(keys[row, chain], _FIRST + np.uint64(site)) & 1
                spins[row, site, chain] = 1 - 2 * bit


@njit(cache=True, nogil=True)
def _sweep(graph, order, coefficients, inverse, keys, counter, kind, spins, field, product, bits):
    """One sweep over a block: spins (n_sites, lanes), everything else of the block (lanes,)."""
    starts, terms, begins, others = graph
    lanes = spins.shape[1]
    for site in order:
        field[:] = 0.0
        for entry in range(starts[site], starts[site + 1]):
            c = coefficients[terms[entry]]
            begin, end = begins[entry], begins[entry + 1]
            if end == begin:
                for lane in range(lanes):
                    field[lane] += c
            elif end == begin + 1:
                other = others[begin]
                for lane in range(lanes):
                    field[lane] += c * spins[other, lane]
            else:
                for lane in range(lanes):
                    product[lane] = c
                for place in range(begin, end):
                    other = others[place]
                    for lane in range(lanes):
                        product[lane] *= spins[other, lane]
                for lane in range(lanes):
                    field[lane] += product[lane]
        number = counter + np.uint64(site)
        for lane in range(lanes):
            bits[lane] = _draw(keys[lane], number)
        if kind == HEAT_BATH:
            for lane in range(lanes):  # up with the probability 1 / (1 + exp(2 field / T))
                steep = min(max(2.0 * field[lane] * inverse[lane], -_STEEPEST), _STEEPEST)
                up = (bits[lane] + 0.5) * _UNIT * (1.0 + _exp(steep)) < 1.0
                spins[site, lane] = 1.0 if up else -1.0
        else:
            for lane in range(lanes):  # flipped with the probability exp(2 s field / T), at most 1
                spin = spins[site, lane]
                gain = min(max(2.0 * spin * field[lane] * inverse[lane], -_STEEPEST), 0.0)
                flip = (bits[lane] + 0.5) * _UNIT < _exp(gain)
                spins[site, lane] = -spin if flip else spin


@njit(cache=True, nogil=True)
def _energies(tables, coefficients, spins, energy, product):
    """``E`` of every lane."""
    first, sites = tables
    energy[:] = 0.0
    for term in range(len(first) - 1):
        product[:] = coefficients[term]
        for place in range(first[term], first[term + 1]):
            for lane in range(spins.shape[1]):
                product[lane] *= spins[sites[place], lane]
        for lane in range(spins.shape[1]):
            energy[lane] += product[lane]


@njit(cache=True, nogil=True)
def _exchange(tables, coefficients, inverse, keys, counter, parity, rungs, spins, energy, product):
    """Offers to exchange the states of neighbouring temperatures, every other pair; lane = rung * members + member."""
    members = spins.shape[1] // rungs
    _energies(tables, coefficients, spins, energy, product)
    for rung in range(parity, rungs - 1, 2):
        for member in range(members):
            cold, warm = rung * members + member, (rung + 1) * members + member
            gain = (inverse[cold] - inverse[warm]) * (energy[cold] - energy[warm])
            if (_draw(keys[cold], counter) + 0.5) * _UNIT < np.exp(min(gain, 0.0)):
                for site in range(spins.shape[0]):
                    kept = spins[site, cold]
                    spins[site, cold] = spins[site, warm]
                    spins[site, warm] = kept


@njit(cache=True, nogil=True)
def run_chains(graph, tables, order, coefficients, inverse, keys, kind, schedule, spins, draws, begin, end):
    """Runs blocks ``begin`` to ``end`` of all rows, and keeps what the coldest rung shows.

    Args:
        graph, tables: see `SpinGraph`.
        order: (n_sites,) the sites in the order of a sweep.
        coefficients: (rows, n_terms).
        inverse: (rungs,) inverse temperatures, the first is sampled.
        keys: (rows, blocks, rungs * members) of the random streams.
        kind: METROPOLIS or HEAT_BATH.
        schedule: (4,) sweeps before the first sample, samples, sweeps between them, and sweeps done in earlier calls.
        spins: (rows, blocks, n_sites, rungs * members) int8, where they start; replaced by where they stop.
        draws: (rows, samples, n_sites, blocks * members) int8.
    """
    n_sites, lanes = spins.shape[2], spins.shape[3]
    rungs, blocks = len(inverse), spins.shape[1]
    members = lanes // rungs
    state = np.empty((n_sites, lanes))
    field, product, energy = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    bits, temperatures = np.empty(lanes, dtype=np.int32), np.empty(lanes)
    for lane in range(lanes):
        temperatures[lane] = inverse[lane // members]
    burn, samples, thin, done = schedule
    for task in range(begin, end):
        row, block = task // blocks, task % blocks
        state[:] = spins[row, block]
        for sweep in range(burn + samples * thin):
            counter = np.uint64(done + sweep + 1) * np.uint64(n_sites + 1)
            _sweep(
                graph,
                order,
                coefficients[row],
                temperatures,
                keys[row, block],
                counter,
                kind,
                state,
                field,
                product,
                bits,
            )
            if rungs > 1:
                last = counter + np.uint64(n_sites)
                _exchange(
                    tables,
                    coefficients[row],
                    temperatures,
                    keys[row, block],
                    last,
                    sweep % 2,
                    rungs,
                    state,
                    energy,
                    product,
                )
            taken = sweep + 1 - burn
            if taken > 0 and taken % thin == 0:
                for site in range(n_sites):
                    for member in range(members):
                        draws[row, taken // thin - 1, site, block * members + member] = np.int8(state[site, member])
        for site in range(n_sites):
            for lane in range(lanes):
                spins[row, block, site, lane] = np.int8(state[site, lane])


@njit(cache=True, nogil=True)
def sum_up(tables, energy_coefficients, push, draws, sums, joint, series, begin, end):
    """Adds up the samples of every chain, for rows ``begin`` to ``end``.

    Args:
        tables: of the strings, see `SpinGraph`.
        energy_coefficients: (rows, n_strings) of the Hamiltonians.
        push: (rows, n_strings) of an observable N.
        draws: (rows, samples, n_sites, chains) int8.
        sums: (rows, n_strings, chains) to which all strings are added.
        joint: (rows, n_strings, chains) those of ``N`` times a string; not touched where it has no rows.
        series: (rows, 2, samples, chains) ``E`` and ``N`` of every sample.
    """
    first, sites = tables
    samples, chains = draws.shape[1], draws.shape[3]
    n_strings = len(first) - 1
    values = np.empty((n_strings, chains))
    for row in range(begin, end):
        for sample in range(samples):
            energy, pushed = series[row, 0, sample], series[row, 1, sample]
            energy[:] = 0.0
            pushed[:] = 0.0
            for string in range(n_strings):
                value = values[string]
                value[:] = 1.0
                for place in range(first[string], first[string + 1]):
                    spin = draws[row, sample, sites[place]]
                    for chain in range(chains):
                        value[chain] *= spin[chain]
                c, n = energy_coefficients[row, string], push[row, string]
                if c != 0.0:
                    for chain in range(chains):
                        energy[chain] += c * value[chain]
                if n != 0.0:
                    for chain in range(chains):
                        pushed[chain] += n * value[chain]
                total = sums[row, string]
                for chain in range(chains):
                    total[chain] += value[chain]
            if len(joint):
                for string in range(n_strings):
                    value, both = values[string], joint[row, string]
                    for chain in range(chains):
                        both[chain] += pushed[chain] * value[chain]
