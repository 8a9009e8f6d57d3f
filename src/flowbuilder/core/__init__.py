"""The vocabulary and the decisions: values, spans, diagnostics, errors, records, policies.

Pure: nothing here reads a clock, a file, a socket or a random source.
"""
