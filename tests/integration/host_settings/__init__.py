"""Tests of `trimtab.host_settings`."""
