// grown by gates 3, 0 and 10 of its pool
OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta_000;
input float[64] theta_001;
input float[64] theta_002;
gate sxdg _gate_q_0 {
  s _gate_q_0;
  h _gate_q_0;
  s _gate_q_0;
}
qubit[3] q;
h q[0];
h q[0];
h q[1];
sx q[1];
cx q[1], q[0];
rz(theta_000) q[0];
cx q[1], q[0];
h q[0];
ry(theta_001) q[0];
sxdg q[1];
h q[2];
sx q[2];
cx q[2], q[0];
rz(theta_002) q[0];
cx q[2], q[0];
sxdg q[2];
