"""Tests of `trimtab.host`."""
