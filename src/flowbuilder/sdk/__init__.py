"""How Python programs speak to an engine."""
