"""Tests of `trimtab.load`."""
