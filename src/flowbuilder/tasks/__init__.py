"""The task types that come with the engine, one a file."""
