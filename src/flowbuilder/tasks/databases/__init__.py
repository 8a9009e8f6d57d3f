"""The databases that `sql` speaks to: one driver a file, each with the same face (`base.Database`)."""
