// rotations about commutators
OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta_000;
input float[64] theta_001;
input float[64] theta_002;
input float[64] theta_003;
input float[64] theta_004;
input float[64] theta_005;
input float[64] theta_006;
gate sxdg _gate_q_0 {
  s _gate_q_0;
  h _gate_q_0;
  s _gate_q_0;
}
qubit[3] q;
ry(theta_002) q[0];
sx q[0];
ry(theta_001) q[1];
sx q[1];
ry(theta_000) q[2];
cx q[2], q[1];
rz(theta_003) q[1];
cx q[2], q[1];
sxdg q[1];
sx q[2];
cx q[2], q[1];
rz(theta_004) q[1];
cx q[2], q[1];
cx q[1], q[0];
rz(theta_005) q[0];
cx q[1], q[0];
sxdg q[0];
sx q[1];
cx q[1], q[0];
rz(theta_006) q[0];
cx q[1], q[0];
sxdg q[1];
sxdg q[2];
