"""Tests of `trimtab.oracle`."""
