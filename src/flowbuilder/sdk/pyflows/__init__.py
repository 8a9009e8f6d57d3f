"""Flows written in Python: decorated functions that record the graph which a YAML file would state.

A flow's function runs once, with stand-ins for its inputs (`recorded`), and
what it calls is kept as tasks (`recorder`).  Out of that comes the text of a
flow (`document`, `emit`), with the Python place of every part of it, and that
text is compiled like any other (`compiling`).  So nothing behind this package
knows that a flow was written in Python, and a run needs none of its objects.

Start at `decorators`.
"""
