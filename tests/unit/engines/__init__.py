"""Tests of `trimtab.engines`."""
