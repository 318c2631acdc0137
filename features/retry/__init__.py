"""Run jobs again: when a client asks for it, when a worker has died, and when a message was lost.

Writes: `jobs` (through `shared.jobs.job_state`). Runs: `retry.take_back`, `retry.ring_again`. Sends: `processing.process_job`.
Events out: `JobFinished` (a job that crashed its workers too often).
"""
