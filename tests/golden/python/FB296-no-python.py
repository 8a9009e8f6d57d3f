from flowbuilder import flow


@flow
def broken(:
    return 1
