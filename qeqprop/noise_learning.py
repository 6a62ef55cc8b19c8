"""The noise of a machine's layers of gates, learned on the machine itself, for PEC and PEA.

A layer is what is done to several qubits at once: two-qubit gates, all else idle, under random Pauli frames. Its noise
is then a sparse Pauli-Lindblad channel (van den Berg, Minev, Kandala and Temme, Nature Physics 19, 1116 (2023),
https://arxiv.org/abs/2201.09866)::

    rho -> exp(sum_k rate_k L_k) rho,    L_k rho = P_k rho P_k - rho,

with Pauli strings P_k on one qubit or two neighbours, and rates from how fast expectations decay when the layer is
repeated. PEC draws its inverse, which is no channel, with signs: the shots grow by ``gamma^2``, where ``gamma =
exp(2 sum_k rate_k)`` of all layers of a circuit. PEA draws more of the same noise and extrapolates to none (Kim et al.,
Nature 618, 500 (2023), https://www.nature.com/articles/s41586-023-06096-3).

Layers are found, learned and cancelled by IBM's client; here is what stands between: its options, the price of a
lesson, and models as a run keeps them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Literal

from qiskit.circuit import QuantumRegister
from qiskit.quantum_info import PauliLindbladMap

from qeqprop.ibm_jobs import checked_options, cost_of_program, primitive_on, refusal_of_options
from qeqprop.interfaces import JobCost

Method = Literal["none", "pec", "pea"]
Layer = Mapping[str, Any]
"""A layer as a run keeps it: its ``qubits`` on the machine, its ``gates`` with theirs, and once it is learned its
``rates``: Pauli letters, their qubits, and the rate."""


def method_of(options: Mapping[str, Any]) -> Method:
    """Which of the methods that need a model of the noise is asked for by options of the client's estimator.

    Raises:
        ValueError: for PEC and ZNE at once.
    """
    chosen = checked_options("estimator", options)
    resilience = chosen.resilience
    extrapolates = resilience.zne_mitigation
    if extrapolates is None:
        extrapolates = chosen.resilience_level == 2
    if resilience.pec_mitigation and extrapolates:
        raise ValueError(
            "Argument `mitigation` must not be 'pec' together with ZNE, which resilience_level = 2 "
            "or options.resilience.zne_mitigation turn on: choose one."
        )
    if resilience.pec_mitigation:
        return "pec"
    return "pea" if extrapolates and resilience.zne.amplifier == "pea" else "none"


def asks_for_noise(options: Mapping[str, Any]) -> bool:
    """Whether the options of any primitive name one of these methods."""
    resilience: Any = options.get("resilience", {})
    zne = resilience.get("zne", {}) if isinstance(resilience, Mapping) else {}
    return bool(resilience.get("pec_mitigation")) or zne.get("amplifier") == "pea"


def check_learner() -> None:
    """Refuses to go on without the package that learns.

    Raises:
        ValueError: names the extra to install.
    """
    if find_spec("qiskit_noise_learning") is None:
        raise ValueError(
            "PEC and PEA need qiskit-noise-learning, which is not installed: pip install 'qeqprop[noise-learning]'."
        )


def learner_options(options: Mapping[str, Any]) -> Any:
    """The options of the client's noise learner.

    Raises:
        ValueError: for one that it does not know, or a value that it does not take.
    """
    from pydantic import ValidationError
    from qiskit_ibm_runtime.options_models.noise_learner_v3 import NoiseLearnerV3Options

    try:
        return NoiseLearnerV3Options(**options)
    except (ValidationError, TypeError, ValueError) as error:
        raise refusal_of_options("noise_learning", "noise learner", error) from None


def learner_on(where: Any, options: Mapping[str, Any]) -> Any:
    """The client's noise learner for a machine, batch or session; it posts programs of the executor."""
    from qiskit_ibm_runtime.executor_noise_learner import NoiseLearnerV3

    return NoiseLearnerV3(mode=where, options=learner_options(options))


def lesson_cost(layers: Sequence[Any], options: Mapping[str, Any], backend: Any) -> JobCost:
    """What a job costs that learns these layers."""
    from qiskit_ibm_runtime.executor_noise_learner.prepare import prepare

    chosen = learner_options(options)
    program, _ = prepare(layers, chosen, backend)
    delay = chosen.execution.rep_delay
    delay = float(backend.default_rep_delay or 0.0) if delay is None else float(delay)
    return cost_of_program(program, delay, backend.target, sum(item.size() for item in program.items))


# --- layers and their models ----------------------------------------------------------------------------------------


def layers_of(pubs: Sequence[Any], options: Mapping[str, Any], backend: Any) -> list[Any]:
    """The layers of gates in the circuits of an estimator's PUBs, each once."""
    return list(primitive_on("estimator", backend, options).find_unique_layers(pubs, types="gates"))


def described(layer: Any, width: int) -> Layer:
    """A layer on a machine of so many qubits, without its noise."""
    register = QuantumRegister(width, "q")
    qubits = [register.index(qubit) for qubit in layer.qubits]
    body = layer.operation.blocks[0]
    gates = [
        [step.operation.name, *(qubits[body.find_bit(qubit).index] for qubit in step.qubits)]
        for step in body.data
        if len(step.qubits) > 1 and step.operation.name != "barrier"
    ]
    return {"qubits": qubits, "gates": gates}


def model_of(layer: Layer, models: Sequence[Layer]) -> Layer | None:
    """The model of a layer, if there is one."""
    same = (one for one in models if (one["qubits"], one["gates"]) == (layer["qubits"], layer["gates"]))
    return next(same, None)


def noise_map(model: Layer) -> PauliLindbladMap:
    """The channel of a model: qubit j of the channel is the j-th of the layer's in ascending order."""
    place = {qubit: index for index, qubit in enumerate(sorted(model["qubits"]))}
    terms = [(letters, [place[qubit] for qubit in qubits], rate) for letters, qubits, rate in model["rates"]]
    return PauliLindbladMap.from_sparse_list(terms, num_qubits=len(place))


def model_from(layer: Layer, learned: PauliLindbladMap) -> Layer:
    """The other way round; rates of zero are left out."""
    qubits = sorted(layer["qubits"])
    rates = [
        [letters, [qubits[index] for index in indices], float(rate)]
        for letters, indices, rate in learned.to_sparse_list()
        if rate
    ]
    return {**layer, "rates": rates}


# --- the result of a lesson -----------------------------------------------------------------------------------------


def packed(text: Any) -> bytes:
    """The text of a result as it came, made small.

    Raises:
        ValueError: if it is no result.
    """
    if not {"schema_version", "data", "passthrough_data"} <= set(json.loads(text)):
        raise ValueError("the result is no result of the executor")
    return zlib.compress(str(text).encode())


def models_from(layers: Sequence[Layer], raw: bytes) -> tuple[list[Layer], int]:
    """The models that a lesson has found, and its executions.

    Args:
        layers: in the order in which they were asked.
        raw: the result of the job, `packed`.

    Raises:
        RuntimeError: if no model can be fitted to what was measured.
    """
    from qiskit_ibm_runtime.decoders.executor.decoder import ExecutorResultDecoder
    from qiskit_ibm_runtime.decoders.executor_noise_learner.decoder import ClientSideNoiseLearnerResultDecoder

    check_learner()
    result: Any = ExecutorResultDecoder.decode(zlib.decompress(raw).decode())
    executions = sum(_executions(item) for item in result)
    try:
        found: Any = ClientSideNoiseLearnerResultDecoder.decode(result)
        maps = found.to_pauli_lindblad_maps()
    except Exception as error:  # of fits, of linear algebra, of the client's own checks
        raise RuntimeError(
            f"No model of the noise fits what the lesson has measured ({type(error).__name__}: {error}). Its result is "
            "kept; learn from more: noise_learning = { num_randomizations = 64 }, or other layer_pair_depths."
        ) from error
    if [each.num_qubits for each in maps] != [len(layer["qubits"]) for layer in layers]:
        raise RuntimeError("The result of a lesson is about other layers than were asked.")
    return [model_from(layer, each) for layer, each in zip(layers, maps, strict=True)], executions


def _executions(item: Any) -> int:
    """How often a circuit ran: points times shots of any of its registers."""
    return max(int(values[..., 0].size) for name, values in item.items() if name.startswith("meas"))
