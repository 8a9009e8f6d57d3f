import no_such_module_at_all

from flowbuilder import flow


@flow
def broken():
    return no_such_module_at_all.go()
