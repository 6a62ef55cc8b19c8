// the body measured in X of site 0 and Y of site 1
OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta_000;
input float[64] theta_001;
input float[64] theta_002;
gate rzz(p0) _gate_q_0, _gate_q_1 {
  cx _gate_q_0, _gate_q_1;
  rz(p0) _gate_q_1;
  cx _gate_q_0, _gate_q_1;
}
bit[2] sites;
qubit[2] q;
h q[0];
h q[1];
rzz(theta_000) q[0], q[1];
rx(theta_001) q[0];
h q[0];
rx(theta_002) q[1];
sdg q[1];
h q[1];
sites[0] = measure q[0];
sites[1] = measure q[1];
