"""What makes a start: a live server under load, or a simulated machine."""
