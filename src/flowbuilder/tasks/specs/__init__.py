"""What each task type is, as data: one topic a file."""
