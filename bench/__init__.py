"""What is fast, measured beside what else a user could pick: `python -m bench`, or `make bench`."""
