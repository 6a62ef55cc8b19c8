// the same with a parameter for each kind of string
OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta_000;
input float[64] theta_001;
gate rzz(p0) _gate_q_0, _gate_q_1 {
  cx _gate_q_0, _gate_q_1;
  rz(p0) _gate_q_1;
  cx _gate_q_0, _gate_q_1;
}
qubit[3] q;
h q[0];
h q[1];
rzz(theta_000) q[0], q[1];
rx(theta_001) q[0];
h q[2];
rzz(theta_000) q[1], q[2];
rx(theta_001) q[1];
rx(theta_001) q[2];
