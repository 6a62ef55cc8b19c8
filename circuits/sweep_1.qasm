// a Trotter sweep of order 1
OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta_000;
input float[64] theta_001;
input float[64] theta_002;
input float[64] theta_003;
input float[64] theta_004;
input float[64] theta_005;
input float[64] theta_006;
input float[64] theta_007;
gate rzz(p0) _gate_q_0, _gate_q_1 {
  cx _gate_q_0, _gate_q_1;
  rz(p0) _gate_q_1;
  cx _gate_q_0, _gate_q_1;
}
qubit[2] q;
h q[0];
rz(theta_000) q[0];
h q[1];
rzz(theta_001) q[0], q[1];
rx(theta_002) q[0];
rz(theta_004) q[0];
rx(theta_003) q[1];
rzz(theta_005) q[0], q[1];
rx(theta_006) q[0];
rx(theta_007) q[1];
