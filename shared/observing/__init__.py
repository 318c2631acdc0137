"""Logs and Prometheus metrics, for operators."""
