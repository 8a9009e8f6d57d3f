import threading

from flowbuilder import flow, task


@task
def keep(value):
    return value


@flow
def broken(lock: threading.Lock, n: complex):
    return keep(lock)
