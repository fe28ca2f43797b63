"""The phases of a study's search, one module each."""
