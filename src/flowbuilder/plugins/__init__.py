"""What other packages and the project itself add: task types, stores, secret providers, executors, front ends.

They are found by entry points (`installed`) and in the project's `plugins`
folder (`folder`), and asked for by kind and name (`registry`).  What cannot
be loaded is left out, and whoever needs it is told why.
"""
