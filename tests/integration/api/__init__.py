"""Tests of `trimtab.api`."""
