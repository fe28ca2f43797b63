"""vLLM as an engine: its command line, its report, its failures, and its installation."""
