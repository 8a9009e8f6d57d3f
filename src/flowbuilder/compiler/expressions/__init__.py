"""Expressions: read, checked, and made into Python.

`tree.py` says what an expression is; `parse.py` reads one, `template.py` a
text with several; `references.py` tells what it asks for; `check.py` what is
wrong with it; `generate.py` turns it into Python's own tree.
"""

from flowbuilder.compiler.expressions.parse import parse_expression
from flowbuilder.compiler.expressions.problems import ExpressionSyntaxError
from flowbuilder.compiler.expressions.template import parse_condition, parse_template

__all__ = ["ExpressionSyntaxError", "parse_condition", "parse_expression", "parse_template"]
