"""Where journals live: the store protocol and its implementations."""
