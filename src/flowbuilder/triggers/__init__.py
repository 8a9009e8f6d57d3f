"""What starts runs by itself: times, files, events, other flows.  Start reading at `project.py`."""
