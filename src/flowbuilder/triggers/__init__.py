"""What starts runs by itself: schedules, files, events, the end of other runs."""
