"""Start again: by a client's wish, after a worker's death, after a lost message.

Writes: `jobs` (through `shared.jobs.job_state`). Runs: `retry.take_back`, `retry.ring_again`. Sends: `processing.process_job`.
Events out: `JobFinished` (a job that crashed its workers too often).
"""
