"""The engine: carries plans out against a journal."""
