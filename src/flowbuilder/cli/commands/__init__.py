"""The commands, one a module: what it is (`COMMAND`) and what it does (`run`)."""
