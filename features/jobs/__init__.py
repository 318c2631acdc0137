"""List, show, change and delete jobs, and remove old ones.

Writes: `jobs` (through `shared.jobs.job_state`), `job_counts` (by a trigger), `submitter_turns` (removes). Runs: `jobs.apply_retention`, `jobs.fold_counts`,
`jobs.forget_turns`.
Sends: `errors.purge_job`. Events out: `JobFinished` (a cancelled job).
"""
