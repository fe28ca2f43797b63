"""Tests of `trimtab.server`."""
