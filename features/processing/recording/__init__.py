"""Stores the errors of a job: packs them into pieces, writes the pieces, and commits them together with the progress."""
