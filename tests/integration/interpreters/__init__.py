"""Tests of `trimtab.interpreters`."""
