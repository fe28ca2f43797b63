"""Tests of `trimtab.metrics`."""
