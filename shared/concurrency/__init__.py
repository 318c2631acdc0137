"""Tools for work that waits: group commit, and a time limit that can be paused."""
