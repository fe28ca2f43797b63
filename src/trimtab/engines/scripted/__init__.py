"""A scripted engine: a small HTTP server whose behaviour a test writes down."""
