"""Back up the database together with the files that its jobs and outputs have, verify a backup, and restore one into an empty service.

A command line only: `python -m features.backup`. Writes: every table, in a database that has no job. Runs: nothing. Events: none.
"""
