from flowbuilder import call, flow


@flow
def broken(day: str):
    return call("http", url=f"https://shop.example/{day}")
