"""List, show and delete jobs, and let old ones go.

Writes: `jobs` (through `shared.job_state`). Runs: `jobs.apply_retention`. Sends: `errors.purge_job`. Events out: `JobFinished` (a cancelled job).
"""
