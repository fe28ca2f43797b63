"""Tests of `trimtab.measurement`."""
