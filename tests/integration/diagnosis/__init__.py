"""Tests of `trimtab.diagnosis`."""
