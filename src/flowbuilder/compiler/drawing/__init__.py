"""Drawings of a flow's graph.  Start at `boxes.parts_of`; each format is a file."""
