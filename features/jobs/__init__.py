"""List, show and delete jobs, and let old ones go.

Writes: `jobs` (through `shared.jobs.job_state`), `job_counts` (by a trigger). Runs: `jobs.apply_retention`, `jobs.fold_counts`.
Sends: `errors.purge_job`. Events out: `JobFinished` (a cancelled job).
"""
