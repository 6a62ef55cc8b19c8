"""Ground states of long chains and ladders: this package's DMRG beside those of quimb and TeNPy.

Transverse-field Ising networks: the critical open chain, whose energy is known from free fermions, and a ladder, whose
energies are compared with the lowest one found. All sides get the same largest bond and may drop about the same weight.
Ours includes what the others do not give: the exact residual of the state, and the expectations of all Pauli strings;
a whole gradient (the free state and two nudged ones) is timed, too. Medians of interleaved runs; peers that are not
installed (quimb, physics-tenpy) are left out.
"""

from __future__ import annotations

import platform
import time
import warnings
from importlib.util import find_spec

import numpy as np

import qeqprop
from qeqprop import losses
from qeqprop.interfaces import Equilibria, PauliSums
from qeqprop.networks.spin_graph import spin_graph
from qeqprop.rules.nudging import SymmetricNudging
from qeqprop.solvers.dmrg import DMRG

BOND, WEIGHT, REPEATS = 64, 1e-12, 3
NO_INPUT = np.zeros((1, 0))


def chain(sites):
    return [(k, k + 1) for k in range(sites - 1)]


def ladder(sites):
    return [(k, k + 2) for k in range(sites - 2)] + [(k, k + 1) for k in range(0, sites, 2)]


def free_fermions(coupling, sites):
    return -float(np.sum(np.linalg.svd(np.eye(sites) + coupling * np.eye(sites, k=1), compute_uv=False)))


def ours(edges, coupling, sites):
    network = spin_graph(sites=sites, edges=edges, bonds=("ZZ",), fields=("X",), outputs=(f"X{sites // 2}",))
    theta = np.concatenate([np.full(len(edges), coupling), np.ones(sites)])

    def state():
        problem = Equilibria(network.hamiltonians(theta, NO_INPUT), PauliSums(network.strings, network.trainable))
        answer = DMRG(bond=BOND).solve(problem)
        return answer.energies[0], answer.start.arrays["bonds"].max()

    def gradient():
        rule = SymmetricNudging(0.1)
        found = qeqprop.gradient(
            network, theta, NO_INPUT, NO_INPUT, loss=losses.output, rule=rule, solver=DMRG(bond=BOND)
        )
        return found.certificate.residual.max(), 0

    return state, gradient


def quimb(edges, coupling, sites):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what it could use and does not find
        import quimb.operator as qop
        import quimb.tensor as qtn

    terms = qop.SparseOperatorBuilder(hilbert_space=qop.HilbertSpace(sites))
    for a, b in edges:
        terms += -coupling, ("z", a), ("z", b)
    for k in range(sites):
        terms += -1.0, ("x", k)
    hamiltonian = terms.build_mpo()
    hamiltonian.compress(cutoff=1e-15)

    def run():
        dmrg = qtn.DMRG2(hamiltonian, bond_dims=[8, 16, 32, BOND], cutoffs=WEIGHT)
        dmrg.solve(tol=1e-11 * sites, verbosity=0, max_sweeps=30)
        return float(np.real(dmrg.energy)), dmrg.state.max_bond()

    return run


def tenpy(edges, coupling, sites):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tenpy.algorithms import dmrg
        from tenpy.models.lattice import Chain
        from tenpy.models.model import CouplingMPOModel
        from tenpy.networks.mps import MPS
        from tenpy.networks.site import SpinHalfSite

        class Ising(CouplingMPOModel):
            def init_lattice(self, parameters):
                return Chain(sites, SpinHalfSite(conserve=None), bc="open", bc_MPS="finite")

            def init_terms(self, parameters):
                for a, b in edges:
                    self.add_local_term(-coupling, [("Sigmaz", [a, 0]), ("Sigmaz", [b, 0])])
                for k in range(sites):
                    self.add_local_term(-1.0, [("Sigmax", [k, 0])])

        model = Ising({})

    def run():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            psi = MPS.from_lat_product_state(model.lat, [["up"]])
            options = {
                "trunc_params": {"chi_max": BOND, "svd_min": 1e-12, "trunc_cut": WEIGHT**0.5},
                "max_E_err": 1e-11,
                "mixer": False,
                "max_sweeps": 30,
            }
            found = dmrg.run(psi, model, options)
        return float(found["E"]), max(psi.chi)

    return run


def rows(repeats=REPEATS):
    """Dictionaries: what, sites, and for each side seconds, relative error of the energy and largest bond."""
    peers = {name: maker for name, maker in (("quimb", quimb), ("tenpy", tenpy)) if find_spec(name)}
    result = []
    for what, edges, coupling in (("chain", chain, 1.0), ("ladder", ladder, 0.5)):
        for sites in (32, 64):
            case = edges(sites), coupling, sites
            state, gradient = ours(*case)
            runs = {"ours": state, "gradient": gradient} | {name: make(*case) for name, make in peers.items()}
            found = {}
            for name, run in list(runs.items()):  # the first run compiles and fills caches: it is not counted
                try:
                    found[name] = run()
                except Exception as error:
                    if name not in peers:
                        raise
                    # a peer that breaks is not a reason to lose the others
                    print(f"  {name} failed for {what}, {sites} sites, and is left out: {error!r}")
                    del runs[name]
            seconds = {name: [] for name in runs}
            for _ in range(repeats):
                for name, run in runs.items():
                    begin = time.perf_counter()
                    found[name] = run()
                    seconds[name].append(time.perf_counter() - begin)
            sides = ["ours", *(name for name in peers if name in runs)]
            lowest = min(found[name][0] for name in sides)
            exact = free_fermions(coupling, sites) if what == "chain" else lowest
            row = {"what": what, "sites": sites, "gradient_seconds": float(np.median(seconds["gradient"]))}
            for name in sides:
                row[f"{name}_seconds"] = float(np.median(seconds[name]))
                row[f"{name}_error"] = (found[name][0] - exact) / abs(exact)
                row[f"{name}_bond"] = int(found[name][1])
            result.append(row)
    return result


def main():
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    missing = [name for name in ("quimb", "tenpy") if not find_spec(name)]
    if missing:
        print(f"not installed: {', '.join(missing)}")
    sides = [name for name in ("ours", "quimb", "tenpy") if name not in missing]
    print("largest bond 64; seconds, relative error of the energy (of a ladder: above the lowest found), bond reached")
    print(f"{'what':>6} {'sites':>5} " + " ".join(f"{name:>24}" for name in sides) + f" {'our gradient':>13}")
    for row in rows():
        cells = (f"{row[f'{n}_seconds']:>8.2f} {row[f'{n}_error']:>11.1e} {row[f'{n}_bond']:>3}" for n in sides)
        print(f"{row['what']:>6} {row['sites']:>5} " + " ".join(cells) + f" {row['gradient_seconds']:>12.2f}s")


if __name__ == "__main__":
    main()
