"""Tests of `trimtab.host_resources`."""
