"""Serve the row errors of a job in pages and exact counts, and remove old ones in batches.

Writes: `error_pieces` (deletes) and `jobs` (deletes, `purge_due_at`), through `shared.db.purge`; removes the files of deleted jobs.
Runs: `errors.purge_job`, `errors.purge_due`. Events: none.
"""
