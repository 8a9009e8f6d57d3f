"""From text to plan: read, lower, check, optimise, generate.  Does no I/O of its own."""
