"""Tests of `trimtab.facts`."""
