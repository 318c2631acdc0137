"""What operators see: logs and Prometheus metrics."""
