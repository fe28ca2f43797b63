"""Profiles: the answer of a study as a file, its schema, and two launches compared."""
