"""The expression language: scanner, parser, tree, checks and code generator of our own."""
