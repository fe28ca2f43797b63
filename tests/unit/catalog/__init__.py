"""Tests of `trimtab.catalog`."""
