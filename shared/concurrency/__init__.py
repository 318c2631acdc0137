"""Concurrency tools: group commit, and a timeout that can be paused."""
