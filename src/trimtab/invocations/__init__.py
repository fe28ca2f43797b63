"""Command lines that start a server: their grammar, by family of engines."""
