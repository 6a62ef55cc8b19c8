"""A product state near the ground state, to start Lanczos from.

A random vector holds about ``2^(-n/2)`` of the ground state, and Lanczos spends a fifth of its steps on that. The
mean-field state, every site turned against the mean field of the others, holds much more and costs next to nothing. It
need not be the best one: it only has to be good.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import math

import numba as nb
import numpy as np

from qeqprop.engine.apply import OPTIONS

_ROUNDS = 6


@nb.njit(**OPTIONS)
def product_state(layout, coefficients, x):
    """Writes a product state with a low energy to x (dim,), real amplitudes, norm one.

    Args:
        layout: the strings; those with Y do not count.
        coefficients: (n_strings,).
        x: (dim,) result.
    """
    sites = layout.sites - layout.partner
    spins, fields = np.zeros((sites, 2)), np.zeros((sites, 2))  # <X> and <Z> of every site, and what acts on them
    for site in range(sites):
        angle = 0.3 + 0.1 * site  # no symmetry
        spins[site, 0], spins[site, 1] = math.sin(angle), math.cos(angle)
    starts = layout.support_starts
    for _ in range(_ROUNDS):
        fields[:] = 0.0
        for k in range(layout.support_string.size):
            coefficient = coefficients[layout.support_string[k]]
            for a in range(starts[k], starts[k + 1]):
                others = coefficient
                for b in range(starts[k], starts[k + 1]):
                    if b != a:
                        others *= spins[layout.support_site[b], layout.support_letter[b]]
                fields[layout.support_site[a], layout.support_letter[a]] += others
        for site in range(sites):
            strength = math.hypot(fields[site, 0], fields[site, 1])
            if strength > 0.0:
                for letter in range(2):  # half way against the field, so that two sites do not chase each other
                    spins[site, letter] = 0.5 * spins[site, letter] - 0.5 * fields[site, letter] / strength
                norm = math.hypot(spins[site, 0], spins[site, 1])
                if norm > 1e-6:
                    spins[site, 0] /= norm
                    spins[site, 1] /= norm
                else:
                    spins[site, 0], spins[site, 1] = -fields[site, 0] / strength, -fields[site, 1] / strength
    x[:] = 0.0
    x[0] = 1.0
    for site in range(sites):
        half = 0.5 * math.atan2(spins[site, 0], spins[site, 1])
        up, down = math.cos(half), math.sin(half)
        size = 1 << site
        for b in range(size):
            x[size + b] = down * x[b]
            x[b] *= up
