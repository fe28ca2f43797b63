"""Tests of `trimtab.prepare`."""
