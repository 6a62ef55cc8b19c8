"""Pictures of training, gradients, samples and spectra; each function takes data of the package and returns a figure.

The figures are made without pyplot: no window opens and no global setting changes. Save one with ``figure.savefig``; in
a notebook it shows by itself. Energies, losses and gradients are dimensionless.
"""

from __future__ import annotations

from qeqprop.advice_plots import advised_errors
from qeqprop.chain_plots import autocorrelation
from qeqprop.drawing import network
from qeqprop.error_plots import error_against_samples, error_against_temperature, rule_against_exact
from qeqprop.landscape_plots import free_energy_landscape
from qeqprop.level_plots import spectrum
from qeqprop.nudge_plots import error_against_beta, nudged_expectations
from qeqprop.sweep_plots import gap_along_path
from qeqprop.training_plots import learning_curves

__all__ = [
    "advised_errors",
    "autocorrelation",
    "error_against_beta",
    "error_against_samples",
    "error_against_temperature",
    "free_energy_landscape",
    "gap_along_path",
    "learning_curves",
    "network",
    "nudged_expectations",
    "rule_against_exact",
    "spectrum",
]
