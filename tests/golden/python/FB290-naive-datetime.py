import datetime as dt

from flowbuilder import flow, task


@task
def keep(value):
    return value


@flow
def broken():
    return keep(dt.datetime(2026, 1, 5, 12, 0))
