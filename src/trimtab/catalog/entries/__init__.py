"""The entries of the catalogue: one module a layer, each with its ``TUNINGS``."""
