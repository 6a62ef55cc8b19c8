"""Fitted scikit-learn estimators as files without pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray

from qeqprop import __version__
from qeqprop.interfaces import Network
from qeqprop.model_file import describe, network_arrays, network_from, read_model, restore, write_model

_ARRAYS = ("theta_", "mean_", "scale_", "target_offset_", "target_scale_")


def save_estimator(
    estimator: Any,
    path: str | os.PathLike[str],
    more_facts: Mapping[str, Any] | None = None,
    more_arrays: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Writes a fitted estimator to one file; `QEPClassifier.save` says what is stored how."""
    parameters: dict[str, Any] = estimator.get_params(deep=False)
    if isinstance(parameters["random_state"], np.random.RandomState):
        parameters["random_state"] = estimator.seed_
    described = {name: describe(name, value) for name, value in parameters.items()}
    given = parameters["network"]
    if given is not None and (not callable(given) or "again" in described["network"]):
        described["network"] = {"fitted": True}
    fitted = {name: getattr(estimator, name) for name in ("seed_", "n_iter_", "n_features_in_")}
    if hasattr(estimator, "feature_names_in_"):
        fitted["feature_names_in_"] = vars(estimator)["feature_names_in_"].tolist()
    network = estimator.network_
    facts = {
        "estimator": type(estimator).__name__,
        "parameters": described,
        "fitted": fitted,
        "versions": {"qeqprop": __version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__},
    }
    arrays = {name: getattr(estimator, name) for name in _ARRAYS if hasattr(estimator, name)}
    if isinstance(network, Network):
        arrays |= {f"network.{name}": array for name, array in network_arrays(network).items()}
    else:
        facts["network"] = describe("network", network)
    arrays |= {f"memory.{name}": array for name, array in estimator.optimizer_state_.items()}
    arrays |= {f"history.{name}": np.array(column) for name, column in estimator.history_.items()}
    write_model(path, facts | dict(more_facts or {}), arrays | dict(more_arrays or {}))


def load_estimator(
    cls: Any, path: str | os.PathLike[str], trusted: Sequence[str], parts: Mapping[str, Any]
) -> tuple[Any, dict[str, Any], dict[str, NDArray[Any]]]:
    """The estimator that was saved, and all facts and arrays of the file.

    Args:
        cls: the class of the estimator.
        path: the file.
        trusted: see `QEPClassifier.load`.
        parts: parameters in the place of the stored ones.

    Raises:
        ValueError: if the file holds another estimator, or a part must be passed again.
    """
    facts, arrays = read_model(path)
    if facts.get("estimator") != cls.__name__:
        raise ValueError(f"{path}: must hold a {cls.__name__}, but holds a {facts.get('estimator')}.")

    def group(prefix: str) -> dict[str, NDArray[Any]]:
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    parts = dict(parts)
    if "network" not in facts:
        network = network_from(group("network."))
    elif "network" in parts and not callable(parts["network"]):
        network = parts["network"]
    else:
        network = restore(path, "network", facts["network"], trusted)
    stored = {name: value for name, value in facts["parameters"].items() if name not in parts}
    if stored.get("network") == {"fitted": True}:
        parts = {"network": network, **parts}
        del stored["network"]
    restored = {name: restore(path, name, value, trusted) for name, value in stored.items()}
    estimator = cls(**restored, **parts)
    for name, value in [*facts["fitted"].items(), *((name, arrays[name]) for name in _ARRAYS if name in arrays)]:
        setattr(estimator, name, np.array(value, dtype=object) if isinstance(value, list) else value)
    estimator.network_, estimator.optimizer_state_ = network, group("memory.")
    estimator.history_ = {name: array.tolist() for name, array in group("history.").items()}
    return estimator, facts, arrays
