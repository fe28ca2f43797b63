"""What is measured: the table of metrics, service-level objectives, and aggregates."""
