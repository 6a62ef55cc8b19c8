"""A rehearsal of IBM's quantum service on this computer, for IBM's own client, to practise on and to test against.

`server.Rehearsal` is an HTTP server on 127.0.0.1 with Aer behind it. The unmodified ``QiskitRuntimeService()`` finds it
through environment variables alone and sees: identity, instances and plans, machines with configuration, properties and
status, jobs (post, state, results, cancel, tags, metrics, logs, lists by tag and page, delete), sessions and batches,
and usage. Jobs may be of the executor (on which the newer `Estimator` and `Sampler` stand) or of the older
`EstimatorV2` and `SamplerV2`. Every job is billed, and plan, limits and sessions are enforced as the service does.

What can be chosen: machines, plan, allowance; seconds in the queue and on the machine; the life of access tokens; how
long a new job is hidden from a search by tags; a calibration that changes; how many jobs may be posted in a minute; a
folder in which jobs outlive the process. What can go wrong: see `faults.Fault`, `Rehearsal.next_job`,
`Rehearsal.close_session` and `Rehearsal.away`.

What is not modelled: mitigation on the server's side in jobs of the older estimator, control flow, the order of a real
queue, and the service's own wording of errors.

The shots of a job are a function of its tags, except those that begin with ``id-``; see `jobs`.
"""
