"""Tests of `trimtab.simulated`."""
