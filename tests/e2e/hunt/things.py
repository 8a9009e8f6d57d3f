import sys


class Thing:
    def __init__(self, p):
        self.p = p

    def __repr__(self):
        return self.p


def echo(p):
    print(p)
    print(p, file=sys.stderr)
    return p


def quiet(p):
    return len(p)


def fail(p):
    raise ValueError(f"no {p}", p)


def thing(p):
    return {p: Thing(p)}


def bad_key(p):
    return {p: {(1, p): 2}}
