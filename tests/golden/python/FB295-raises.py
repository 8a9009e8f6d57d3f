from flowbuilder import flow, task


@task
def keep(value):
    return value


def settings():
    return {}["name"]


@flow
def broken():
    return keep(settings())
