"""Tests with processes, servers and scratch copies of the source."""
