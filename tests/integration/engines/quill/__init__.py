"""A made-up family of engines, in one folder: what a second engine takes."""
