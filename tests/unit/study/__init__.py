"""Tests of `trimtab.study`."""
