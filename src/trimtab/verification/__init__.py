"""Checks of a plan against the live server."""
