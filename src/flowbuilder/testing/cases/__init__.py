"""Tests of flows, written in YAML beside them: read, run in memory on a virtual clock, judged, reported.

Start at `case.py` for what a test is, `drive.py` for how it runs.
"""
