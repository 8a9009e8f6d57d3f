"""From text to nodes.  Start at `parse`; `origin` finds the way back from a value to its text."""
