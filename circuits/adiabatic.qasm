// product state and sweep in one step of two sites
OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta_000;
input float[64] theta_001;
input float[64] theta_002;
input float[64] theta_003;
input float[64] theta_004;
input float[64] theta_005;
gate rzz(p0) _gate_q_0, _gate_q_1 {
  cx _gate_q_0, _gate_q_1;
  rz(p0) _gate_q_1;
  cx _gate_q_0, _gate_q_1;
}
qubit[2] q;
ry(theta_000) q[0];
ry(theta_001) q[1];
rzz(theta_002) q[0], q[1];
rx(theta_003) q[0];
rx(theta_004) q[1];
rzz(theta_005) q[0], q[1];
