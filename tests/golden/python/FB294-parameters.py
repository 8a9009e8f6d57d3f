from flowbuilder import flow, task


@task
def keep(value):
    return value


@flow
def broken(*values: int):
    return keep(values)
