"""The maintainers' audit of the oracle: its probes, cases, and the tables of the docs."""
