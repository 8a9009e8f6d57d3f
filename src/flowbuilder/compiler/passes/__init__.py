"""The optimizer's passes: rewrites of a flow that may be left out.  Start at `pipeline.PASSES`."""

from flowbuilder.compiler.passes.notes import Note, Rewritten
from flowbuilder.compiler.passes.pipeline import PASSES, Optimized, Pass, optimize

__all__ = ["PASSES", "Note", "Optimized", "Pass", "Rewritten", "optimize"]
