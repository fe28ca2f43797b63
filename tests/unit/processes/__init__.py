"""Tests of `trimtab.processes`."""
