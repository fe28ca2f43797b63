"""Tests of `trimtab.families`."""
