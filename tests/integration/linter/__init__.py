"""Tests of `trimtab.linter`."""
