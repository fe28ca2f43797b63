"""Tests of `trimtab.http_client`."""
