"""Tests of `trimtab.run`."""
