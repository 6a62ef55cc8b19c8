"""Run files: what they are allowed to say, where their mistakes are, and what a run leaves behind."""

from __future__ import annotations

import json
import os
import signal
import string
import threading
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qeqprop.datasets.tables import iris
from qeqprop.experiment import Experiment
from qeqprop.interfaces import Samples
from qeqprop.ledger import read_run
from qeqprop.report import logistic_accuracy, summary
from qeqprop.runfile import RunFileError, read, short_hash
from qeqprop.stored_files import find_stored
from qeqprop.toml_text import find_lines, to_toml

RUN_FILE = """\
schema = 1
seed = 3
loss = { use = "mean_squared_error" }

[network]
use = "transverse_ising:transverse_ising"
sites = 3
n_inputs = 2

[data]
use = "boolean:xor"

[rule]
use = "nudging:SymmetricNudging"
beta = 0.1

[optimizer]
use = "adam"

[train]
steps = 4
"""

PARTS = """\
from __future__ import annotations
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
import numpy as np
from annotated_types import Gt, Lt
from numpy.typing import ArrayLike
from qeqprop.interfaces import Dataset, FloatArray, Network, Samples, Solver
from qeqprop.operators import term
from qeqprop.solvers.exact import Exact

seen = {}

def network(sites: int = 1, *, width: tuple[float, float] = (0.0, 1.0), weights: ArrayLike | None = None,
            kind: Literal["a", "b"] = "a", scale: Annotated[float, Gt(0), Lt(2)] = 1, names: Sequence[str] = (),
            table: FloatArray | None = None, on: bool = False, path: Path | None = None) -> Network:
    seen.update(sites=sites, width=width, weights=weights, kind=kind, scale=scale, names=names, table=table, on=on)
    if kind == "b" and sites < 2:
        raise ValueError(f"Argument `sites` must be at least 2 for kind b, but is {sites}.")
    if names:
        raise KeyError("boom")
    return Network.of(outputs=[term("Z", (0,), sites)], trainable=[term("Z", (0,), sites), term("X", (0,), sites)])

def data(seed: int = 0) -> Dataset:
    samples = Samples(np.zeros((3, 0)), np.array([[0.1], [0.2], [0.3]]))
    return Dataset(samples, Samples(np.zeros((0, 0)), np.zeros((0, 1))))

def empty() -> Dataset:
    return Dataset(Samples(np.zeros((0, 0)), np.zeros((0, 1))), Samples(np.zeros((0, 0)), np.zeros((0, 1))))

@dataclass(frozen=True)
class Wrapped:
    solver: Solver = field(default_factory=Exact)
    times: int = 1

    def solve(self, problem, *, precision=None):
        return self.solver.solve(problem, precision=precision)

not_a_part = 3
def wrong() -> dict:
    return {}
"""

USER_FILE = """\
schema = 1
network = { use = "qeqprop_test_parts:network" }
data = "qeqprop_test_parts:data"
[train]
steps = 2
"""


@pytest.fixture
def xor(tmp_path):
    path = tmp_path / "xor.toml"
    path.write_text(RUN_FILE)
    return path


@pytest.fixture
def user(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", ["", *os.sys.path])
    monkeypatch.delitem(os.sys.modules, "qeqprop_test_parts", raising=False)
    (tmp_path / "qeqprop_test_parts.py").write_text(PARTS)
    path = tmp_path / "mine.toml"
    path.write_text(USER_FILE)
    return path


def problems(path, *overrides):
    with pytest.raises(RunFileError) as caught:
        Experiment.load(path, overrides)
    return [problem.replace(str(path), path.name) for problem in caught.value.problems]


# --- lines and text


def test_lines_of_keys():
    text = '''\
# a comment with [brackets] and = signs
top = 1   # trailing
"quoted key" = """
[not.a.table]
x = "
""" # over several lines
a.b.'c d' = [  # an array
  1, # ]
  "]",
]
[table]   # header
key = { x = 1, y = "}" }
long = \'\'\'
it''s
\'\'\'\'
after = 'C:\\'
[table . sub]
k = "\\"="
[[many]]
k = 1
[[many]]
'''
    tomllib.loads(text)
    assert find_lines(text) == {
        ("top",): 2,
        ("quoted key",): 3,
        ("a",): 7,
        ("a", "b"): 7,
        ("a", "b", "c d"): 7,
        ("table",): 11,
        ("table", "key"): 12,
        ("table", "long"): 13,
        ("table", "after"): 16,
        ("table", "sub"): 17,
        ("table", "sub", "k"): 18,
        ("many",): 19,
        ("many", "k"): 20,
    }


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | texts
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
trees = st.dictionaries(st.text(string.ascii_letters, min_size=1) | texts, values, max_size=4)


@given(trees)
def test_what_is_written_as_toml_is_read_back(tree):
    text = to_toml(tree)
    assert tomllib.loads(text) == tree
    lines = find_lines(text)
    for key, value in tree.items():
        line = text.split("\n")[lines[(key,)] - 1]
        assert tomllib.loads(line) == {key: {} if isinstance(value, dict) else value}


# --- mistakes


def test_all_mistakes_at_once(xor):
    text = RUN_FILE.replace("seed = 3", "seed = -3").replace("beta", "betta").replace("sites = 3", 'sites = "3"')
    xor.write_text(text + 'batch = 0\n[optimiser]\nuse = "adam"\n')
    assert problems(xor, "data.use=boolean:xorr") == [
        "xor.toml:2: seed: must be a whole number from 0 to 2**63 - 1, but is -3",
        "xor.toml:7: network.sites: must be a valid integer, but is '3'",
        "--set data.use: no 'boolean:xorr' in qeqprop.datasets (did you mean 'boolean:xor'?)",
        "xor.toml:15: rule.betta: unknown key (did you mean 'beta'?)",
        "xor.toml:22: train.batch: must be greater than or equal to 1, but is 0",
        "xor.toml:23: optimiser: unknown key (did you mean 'optimizer'?)",
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["rule.beta=0"], "--set rule.beta: must be greater than 0, but is 0"),
        (["rule.beta=nan"], "--set rule.beta: must be a finite number, but is nan"),
        (["rule.beta=true"], "--set rule.beta: must be a valid number, but is True"),
        (["network.sites=true"], "--set network.sites: must be a valid integer, but is True"),
        (["network.sites=3.0"], "--set network.sites: must be a valid integer, but is 3.0"),
        (["network.sites=1979-05-27"], "must be a valid integer"),
        (["network.readout=x"], "--set network.readout: must be 'z' or 'projector', but is 'x'"),
        (["solver=exact"], "--set solver: 'exact' is a module; name something in it, such as 'exact:"),
        (["solver=exact:GIBBS_SITES"], "'exact:GIBBS_SITES' is a int, not a function or class"),
        (["solver=exact:Exact", "solver.level=1"], "solver is 'exact:Exact', not a table"),
        (["network=cluster_ising:cluster_ising"], "network"),
        (["train=3"], "--set train: must be a table, but is 3"),
        (["rule=[1]"], "--set rule: must be a table with `use`, but is [1]"),
        (["rule.use=3"], "--set rule.use: must be the name of a part, but is 3"),
        (["schema=true"], "--set schema: must be 1, but is True"),
        (["loss=accuracy"], "--set loss.predictions: missing key"),
        (["network.n_inputs=1"], "xor.toml:10: data: has 2 features, but the network takes 1 inputs"),
        (["network.n_outputs=2"], "xor.toml:10: data: has 1 target columns, but the network has 2 outputs"),
        (["train.batch=5"], "--set train.batch: must be at most the number of samples, 4, but is 5"),
        (["loss={use='output',weights=[1,2]}"], "--set loss: does not fit the data and the outputs of the network"),
        (["penalty.use=l2", "penalty.strength=-1"], "penalty.strength"),
        (["penalty.strength=1"], "penalty.use: missing key"),
        (["optimizer.use=nudging:SymmetricNudging"], "no 'nudging:SymmetricNudging' in qeqprop.optimizers"),
        (["optimizer.use=qeqprop.losses:hinge"], "must give Optimizer, but gives Loss"),
        (["rule.beta"], "--set rule.beta: must be of the form key=value"),
        (["=3"], "must be of the form key=value"),
        (["a..b=3"], "must be of the form key=value"),
    ],
)
def test_one_mistake(xor, overrides, message):
    found = problems(xor, *overrides)
    assert any(message in problem for problem in found), found


def test_missing_tables_and_keys(tmp_path):
    path = tmp_path / "empty.toml"
    path.write_text("")
    assert problems(path) == [
        "empty.toml:1: schema: missing key (write `schema = 1` at the top)",
        "empty.toml:1: network: missing table",
        "empty.toml:1: data: missing table",
        "empty.toml:1: train: missing table (it must say `steps`)",
    ]
    path.write_text("\n\n[train]\nbatch = 2\n")
    assert "empty.toml:3: train.steps: missing key" in problems(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = \n", "run.toml:2: not valid TOML: Invalid value"),
        ("a = 1\na = 2\n", "run.toml:2: not valid TOML: Cannot overwrite a value"),
        ("a = 1\n[b\n", "run.toml:2: not valid TOML: "),
        ('a = """\n\n', "run.toml:1: not valid TOML: Unterminated string"),
        (b"a = 1\nb = '\xff'\n", "run.toml:2: is not UTF-8 text (byte 0xff)."),
        (b"\x00\x01\x02", "run.toml:1: not valid TOML: "),
    ],
)
def test_text_that_is_no_toml(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (found,) = problems(path)
    assert found.startswith(message)


def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path, xor):
    other = tmp_path / "other.toml"
    other.write_bytes(b"\xef\xbb\xbf" + RUN_FILE.replace("\n", "\r\n").encode())
    assert Experiment.load(other).setup.resolved == Experiment.load(xor).setup.resolved
    assert read(other).lines == read(xor).lines


# --- values


def test_values_reach_a_part_in_its_own_types(user):
    Experiment.load(
        user, ["network.width=[1, 2.5]", "network.weights=[1, 2]", "network.table=[[1, 2]]", "network.on=true"]
    )
    import qeqprop_test_parts as parts

    assert parts.seen["width"] == (1.0, 2.5)
    assert isinstance(parts.seen["width"][0], float)
    assert isinstance(parts.seen["scale"], int | float)
    np.testing.assert_array_equal(parts.seen["weights"], [1.0, 2.0])
    assert parts.seen["table"].shape == (1, 2)
    assert parts.seen["on"] is True


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.width=[1]", "network.width"),
        ("network.width=3", "--set network.width: must be a valid array, but is 3"),
        ("network.scale=2.5", "--set network.scale: must be less than 2, but is 2.5"),
        ("network.weights=['a']", "--set network.weights: must be a list of numbers, but is ['a']"),
        ("network.weights=[inf]", "--set network.weights: must hold finite numbers, but is [inf]"),
        ("network.kind=c", "--set network.kind: must be 'a' or 'b', but is 'c'"),
        ("network.names=['a']", "mine.toml:2: network: qeqprop_test_parts:network raised KeyError: 'boom'"),
        ("network.use=qeqprop_test_parts:wrong", "network: qeqprop_test_parts:wrong must give Network, but gives dict"),
        ("network.use=qeqprop_test_parts:not_a_part", "is a int, not a function or class"),
        ("network.use=qeqprop_test_broken:network", "cannot be imported (SyntaxError: "),
        ("network.use=qeqprop_test_needs:network", "cannot be imported (No module named 'qeqprop_test_absent')"),
        ("data=qeqprop_test_parts:empty", "--set data: holds no samples to learn from"),
        (
            "solver={use='qeqprop_test_parts:Wrapped', solver=3}",
            "--set solver.solver: must be a table with `use`, but is 3",
        ),
        (
            "solver={use='qeqprop_test_parts:Wrapped', solver={use='exact:Exact', level=-1}}",
            "--set solver.solver.level",
        ),
        ("solver={use='qeqprop_test_parts:Wrapped', solver={level=1}}", "--set solver.solver.use: missing key"),
    ],
)
def test_mistakes_in_parts_of_the_user(user, override, message):
    (user.parent / "qeqprop_test_broken.py").write_text("def network(:\n")
    (user.parent / "qeqprop_test_needs.py").write_text("import qeqprop_test_absent\n")
    found = problems(user, override)
    assert any(message in problem for problem in found), found


def test_what_a_part_refuses_is_reported_at_its_key(user):
    assert problems(user, "network.kind=b", "network.sites=1") == [
        "--set network.sites: Argument `sites` must be at least 2 for kind b, but is 1."
    ]


def test_parts_inside_parts(user):
    wrapped = "solver={use='qeqprop_test_parts:Wrapped', solver={use='exact:Exact', temperature=0.5}, times=2}"
    solver = Experiment.load(user, [wrapped]).setup.solver
    assert (type(solver).__name__, solver.solver.temperature, solver.times) == ("Wrapped", 0.5, 2)
    default = Experiment.load(user, ["solver.use=qeqprop_test_parts:Wrapped"]).setup
    assert default.resolved["solver"]["solver"]["use"] == "exact:Exact"
    named = Experiment.load(user, ["solver={use='qeqprop_test_parts:Wrapped', solver='exact:Exact'}"]).setup
    assert named.resolved == default.resolved


# --- the resolved file


def test_the_name_depends_on_the_content_alone(xor):
    plain = Experiment.load(xor)
    same = ["network.sites=3", "rule.beta=0.1", "network.field_x=1", "loss=mean_squared_error", "solver=exact:Exact"]
    full = "network.use=qeqprop.networks.transverse_ising:transverse_ising"
    assert plain.name == Experiment.load(xor, [*same, full]).name == f"xor-{short_hash(plain.setup.resolved)}"
    others = [["seed=4"], ["rule.beta=0.2"], ["train.batch=4"], ["solver.level=1"]]
    names = {plain.name, *(Experiment.load(xor, overrides).name for overrides in others)}
    assert len(names) == 1 + len(others)


def test_the_resolved_file_means_the_same(xor, tmp_path):
    experiment = Experiment.load(xor, ["penalty.use=l2"])
    again = tmp_path / "again.toml"
    again.write_text(to_toml(experiment.setup.resolved))
    assert Experiment.load(again).setup.resolved == experiment.setup.resolved
    json.dumps(experiment.setup.resolved)


# --- checks and runs


def test_a_check_counts(xor, tmp_path):
    before = sorted(tmp_path.iterdir())
    found = Experiment.load(xor).check()
    assert (found.sites, found.inputs, found.outputs, found.samples, found.test_samples) == (3, 2, 1, 4, 4)
    assert found.settings == 1 + 2  # the free output in Z; the two nudged states in Z, where every trainable term is
    assert Experiment.load(xor, ["network.couplings_xx=true"]).check().settings == 1 + 2 * 2
    assert (found.circuits, found.shots) == (None, None)
    assert found.shift_settings == 1 + 2 * found.trainable
    sampled = Experiment.load(xor, ["solver={use='sampled:Sampled', shots=50}"]).check()
    assert (sampled.circuits, sampled.shots) == (4 * 3, 4 * 3 * 50)
    precise = ["rule.precision=0.1", "rule.output_precision=0.05", "solver={use='sampled:Sampled', shots=50}"]
    assert Experiment.load(xor, precise).check().shots == 4 * (400 + 2 * 100)
    linear = Experiment.load(xor, ["rule={use='linear_response:LinearResponse'}"])
    assert linear.check().settings is None
    assert sorted(tmp_path.iterdir()) == before


def test_a_run_leaves_its_results(xor, tmp_path):
    experiment = Experiment.load(xor)
    states = []
    result = experiment.run(tmp_path / "runs", states.append)
    assert [state.step for state in states] == [1, 2, 3, 4]
    assert result.folder == tmp_path / "runs" / experiment.name
    assert tomllib.loads((result.folder / "run.toml").read_text()) == experiment.setup.resolved
    with np.load(result.folder / "weights.npz") as weights:
        np.testing.assert_array_equal(weights["theta"], states[-1].theta)
        assert tuple(weights["terms"]) == experiment.setup.network.term_names
    header, *rows = (result.folder / "history.csv").read_text().splitlines()
    assert header.startswith("step,loss,shots,")
    assert [float(row.split(",")[1]) for row in rows] == [state.loss for state in states]
    numbers = summary(result.folder)
    assert numbers["finished"] is True
    assert (numbers["steps"], numbers["loss"]) == (4, states[-1].loss)
    with read_run(result.folder) as ledger:
        assert set(ledger.versions) == {"python", "qeqprop", "numpy", "scipy", "numba", "qiskit"}


def test_each_step_is_in_the_ledger_before_it_is_reported(xor, tmp_path):
    experiment = Experiment.load(xor)

    def progress(state):
        with read_run(tmp_path / experiment.name) as ledger:
            assert ledger.last().step == state.step

    experiment.run(tmp_path, progress)


def test_ctrl_c_finishes_the_step_and_the_next_run_goes_on(xor, tmp_path):
    experiment = Experiment.load(xor)
    undisturbed = experiment.run(tmp_path / "undisturbed")
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(state):
        if state.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        experiment.run(tmp_path, interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert summary(tmp_path / experiment.name)["steps"] == 2
    result = experiment.run(tmp_path)
    assert result.resumed_from == 2
    assert result.theta.tobytes() == undisturbed.theta.tobytes()


def test_runs_outside_the_main_thread(xor, tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(Experiment.load(xor).run(tmp_path)))
    thread.start()
    thread.join()
    assert results[0].resumed_from == 0


def test_a_changed_module_of_the_user_is_noticed(user, tmp_path, monkeypatch):
    Experiment.load(user).run(tmp_path)
    with (user.parent / "qeqprop_test_parts.py").open("a") as stream:
        stream.write("# changed\n")
    with pytest.warns(UserWarning, match="begun with other versions .qeqprop_test_parts sha256:"):
        Experiment.load(user).run(tmp_path)


@pytest.mark.parametrize("solver", ["sampled:Sampled", "dmrg:DMRG"])
@pytest.mark.parametrize(
    "rule", ["", '[rule]\nuse = "linear_response:LinearResponse"\n', '[rule]\nuse = "holomorphic:Holomorphic"\n']
)
def test_a_rule_that_the_solver_cannot_answer_is_refused_before_the_run(tmp_path, rule, solver):
    text = 'schema = 1\n[network]\nuse = "transverse_ising:transverse_ising"\nsites = 2\nn_inputs = 2\n'
    text += f'[data]\nuse = "boolean:xor"\n[solver]\nuse = "{solver}"\n[train]\nsteps = 2\n' + rule
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(RunFileError, match=rf"a response|complex nudges, which {solver.split(':')[1]} cannot"):
        Experiment.load(path)
    path.write_text(text.replace(rule, "") + '[rule]\nuse = "nudging:OneSidedNudging"\n')
    assert Experiment.load(path).check().settings == 1 + 2 * 1


def test_a_device_needs_a_solver_that_runs_circuits(xor):
    found = problems(xor, "device={use='statevector:Statevector', shots=50}")
    assert len(found) == 1
    assert found[0].startswith("--set device: must be left out with the solver Exact, which computes its states")
    assert problems(xor, "device={use='statevector:Statevector', shots=1}")[0].startswith("--set device.shots: must be")
    assert problems(xor, "device={use='statevector:Statevektor'}")[0].startswith("--set device.use: no 'statevector:St")
    assert "must give Device, but gives Exact" in problems(xor, "device.use=qeqprop.solvers.exact:Exact")[0]


VQE = """
[solver]
use = "variational:Variational"
tolerance = 1e-4
[solver.ansatz]
use = "hamiltonian_variational:hamiltonian_variational"
layers = 3
"""


def test_an_ansatz_is_a_part_inside_the_solver(xor, tmp_path):
    xor.write_text(RUN_FILE + VQE)
    experiment = Experiment.load(xor)
    table = experiment.setup.resolved["solver"]
    assert table["ansatz"] == {
        "use": "hamiltonian_variational:hamiltonian_variational",
        "layers": 3,
        "tied": False,
        "start": "automatic",
    }
    assert experiment.setup.solver.ansatz(experiment.setup.network.strings).circuit.num_qubits == 3
    assert experiment.run(tmp_path).shots == 0
    xor.write_text((RUN_FILE + VQE).replace("layers = 3", "layerz = 1").replace("1e-4", "-1"))
    assert problems(xor) == [
        "xor.toml:25: solver.tolerance: must be greater than 0, but is -1",
        "xor.toml:28: solver.ansatz.layerz: unknown key (did you mean 'layers'?)",
    ]
    xor.write_text((RUN_FILE + VQE).replace("layers = 3", "layers = 0"))
    assert problems(xor) == ["xor.toml:28: solver.ansatz.layers: must be greater than or equal to 1, but is 0"]
    wrong = problems(xor, "solver.ansatz=exact:Exact")
    assert wrong == [
        "--set solver.ansatz: no 'exact:Exact' in qeqprop.ansatze (there are: adaptive, brickwork, "
        "commutators, from_file, hamiltonian_variational)"
    ]
    holomorphic = problems(xor, "solver.ansatz.layers=1", "rule={use='holomorphic:Holomorphic'}")
    assert "asks for complex nudges, which Variational cannot settle" in holomorphic[0]


MEASURING = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Measuring:
    def solve(self, problem, measure=None, *, precision=None):
        raise NotImplementedError
"""


def test_a_profile_is_in_the_name_of_the_run(xor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *os.sys.path])
    (tmp_path / "qeqprop_test_measuring.py").write_text(MEASURING)
    stored = find_stored("kingston_8.toml", "hardware_profiles").read_text()
    (tmp_path / "mine.toml").write_text(stored)
    options = ["solver.use=qeqprop_test_measuring:Measuring", "device.profile=mine.toml", "device.shots=60"]
    experiment = Experiment.load(xor, options)
    table = experiment.setup.resolved["device"]
    assert (table["use"], table["profile"], table["shots"]) == ("profile:Profile", "mine.toml", 60)
    again = tmp_path / "xor-again.toml"
    again.write_text(to_toml(experiment.setup.resolved))
    assert Experiment.load(again).setup.resolved == experiment.setup.resolved
    assert experiment.check().shots == 3 * 4 * 60
    response = problems(xor, *options, "rule={use='linear_response:LinearResponse'}")
    assert (
        "--set rule: LinearResponse asks for a response or for complex nudges, which no device measures" in response[0]
    )
    wrapped = "device={use='allocated:Allocated', device={use='profile:Profile', profile='mine.toml'}}"
    assert "checksum" in Experiment.load(xor, [options[0], wrapped]).setup.resolved["device"]["device"]
    (tmp_path / "mine.toml").write_text(stored + "\n# measured anew\n")
    assert Experiment.load(xor, options).name != experiment.name
    assert "device.checksum: Argument `checksum` must be that of mine.toml" in problems(again)[0]
    assert (
        "device.profile: Argument `profile` must name a file" in problems(xor, options[0], "device.profile=no.toml")[0]
    )


def test_a_machine_of_others_is_named_in_a_run_file(xor):
    machine = "backend={use='qiskit.providers.fake_provider:GenericBackendV2', num_qubits=4, seed=3}"
    solver = "solver={use='adiabatic:Adiabatic', total_time=2, steps=4}"

    def with_machine(table):
        return xor, solver, f"device={{use='backend:Backend', shots=60, {table}}}"

    path, *options = with_machine(machine)
    experiment = Experiment.load(path, options)
    assert experiment.setup.device.backend.num_qubits == 4
    assert experiment.check().shots == 3 * 4 * 60
    (wrong,) = problems(*with_machine("backend='fake_kingston'"))
    assert "must be a BackendV2 with a target, but is a str: give the object, or in a run file name what makes" in wrong
    (wrong,) = problems(*with_machine("backend={use='qiskit.providers.fake_provider:GenericBackend'}"))
    assert "no 'GenericBackend' in qiskit.providers.fake_provider (did you mean 'GenericBackendV2'?)" in wrong
    (wrong,) = problems(*with_machine("backend={use='qiskit.providers.fake_provider:GenericBackendV2'}"))
    assert "device.backend.num_qubits: missing key" in wrong


@pytest.mark.parametrize("classes", [None, (0, 1)])
def test_logistic_regression_reads_one_column_and_one_column_per_class(classes):
    data = iris(classes=classes)
    assert data.train.y.shape[1] == (3 if classes is None else 1)
    accuracy = logistic_accuracy(data)
    assert accuracy is not None
    assert accuracy > 0.95


def test_logistic_regression_is_left_out_where_there_is_nothing_to_compare():
    data = iris()
    (x, y), nothing = data.train, Samples(data.test.x[:0], data.test.y[:0])
    for other in (
        data._replace(classes=()),
        data._replace(test=nothing),
        data._replace(train=Samples(x[:, :0], y), test=Samples(data.test.x[:, :0], data.test.y)),
        data._replace(train=Samples(x, y[:, :0])),
        data._replace(train=Samples(x, np.repeat(y[:1], len(y), axis=0))),
    ):
        assert logistic_accuracy(other) is None
