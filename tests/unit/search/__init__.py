"""Tests of `trimtab.search`."""
