"""Diagnostics as people and tools read them: text, JSON, SARIF.  Rendered only at the edge."""

from flowbuilder.compiler.render.json import render_json
from flowbuilder.compiler.render.sarif import render_sarif
from flowbuilder.compiler.render.text import Line, Piece, render_lines, render_text, summary

__all__ = ["Line", "Piece", "render_json", "render_lines", "render_sarif", "render_text", "summary"]
