from flowbuilder import flow, task


@task
def keep(value):
    return value


@flow
def broken(name: str):
    return keep(name.uper())
