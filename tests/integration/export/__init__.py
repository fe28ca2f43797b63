"""Tests of `trimtab.export`."""
