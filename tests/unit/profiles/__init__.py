"""Tests of `trimtab.profiles`."""
