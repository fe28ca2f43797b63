"""Tests of `trimtab.report`."""
