"""Rehearsing on whole machines: seconds for each step and memory of a six-site network on 120 to 156 qubits.

``python benchmarks/rehearsal.py`` runs every machine in a process of its own and prints a table; with the name of a
machine it prints that one line, as JSON.
"""

import json
import resource
import subprocess
import sys
import time
import warnings
from itertools import pairwise

MACHINES = ("FakeTorino", "FakeKingston", "FakeBoston", "FakeBerlin", "FakeSherbrooke")
STEPS, BATCH, SHOTS = 4, 15, 1000


def rehearse(machine: str) -> dict[str, float | str]:
    """The first step, which translates and compiles, the steps after it, and the largest memory of the process."""
    begin = time.perf_counter()
    import qeqprop
    from qeqprop import losses
    from qeqprop.datasets.tables import iris
    from qeqprop.devices.profile import Profile
    from qeqprop.networks.transverse_ising import transverse_ising
    from qeqprop.rules.nudging import SymmetricNudging
    from qeqprop.solvers.adiabatic import Adiabatic

    network = transverse_ising(sites=6, edges="chain", n_inputs=4, n_outputs=3)
    imported = time.perf_counter()
    device = Profile(machine, shots=SHOTS)
    read = time.perf_counter()
    states = qeqprop.train(
        network,
        iris().train,
        loss=losses.cross_entropy(),
        solver=Adiabatic(total_time=2.0, steps=4, tolerance=1.0),
        rule=SymmetricNudging(beta=0.2),
        device=device,
        steps=STEPS,
        batch=BATCH,
    )
    times = [time.perf_counter()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qeqprop.PhysicsWarning)  # the sweep is short on purpose
        for _ in states:
            times.append(time.perf_counter())
    each = [after - before for before, after in pairwise(times)]
    return {
        "machine": machine,
        "qubits": device.calibration.n_qubits,
        "import_s": imported - begin,
        "snapshot_s": read - imported,
        "first_step_s": each[0],
        "step_s": max(each[1:]),
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(rehearse(sys.argv[1])))
        return
    print(f"{'machine':<15} {'qubits':>6} {'snapshot':>9} {'first step':>11} {'a step':>8} {'memory':>10}")
    for machine in MACHINES:
        answer = subprocess.run([sys.executable, __file__, machine], check=True, capture_output=True, text=True)
        row = json.loads(answer.stdout)
        print(
            f"{machine:<15} {row['qubits']:>6} {row['snapshot_s']:>7.1f} s {row['first_step_s']:>9.1f} s "
            f"{row['step_s']:>6.2f} s {row['memory_mib']:>6.0f} MiB"
        )


if __name__ == "__main__":
    main()
