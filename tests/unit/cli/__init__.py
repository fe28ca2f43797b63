"""Tests of `trimtab.cli`."""
