"""From nodes to the intermediate representation.  Start at `flow`; `keys` is the language as data."""
