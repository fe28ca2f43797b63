"""Tests of `trimtab.emulator`."""
