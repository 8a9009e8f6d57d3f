"""What expressions can do: operators and functions over values, each bounded in time and size.

`table.py` lists the functions; `support.py` says how steps and sizes are
counted.
"""
