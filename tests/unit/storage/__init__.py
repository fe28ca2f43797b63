"""Tests of `trimtab.storage`."""
