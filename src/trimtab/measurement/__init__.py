"""Measurement without search: blocks of starts, targets, comparison and capacity."""
