"""Tests of `trimtab.redaction`."""
