"""From the checked, optimised graph to a plan with generated code.

Start with `plan.py`, which walks the flow; `names.py` says where each name's
value lies in a scope; `module.py` gathers functions and compiles them at once;
`regions.py` writes the straight-line function of fused tasks.
"""

from flowbuilder.compiler.codegen.plan import generate

__all__ = ["generate"]
