"""Task types as data, by topic."""
