"""Tests of `trimtab.stats`."""
