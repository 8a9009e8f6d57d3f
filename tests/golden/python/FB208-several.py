from flowbuilder import call, flow, task


@task(timeout=10)
def fetch(day: str, größe: int = 1) -> str:
    return day


@flow(timeout="1 parsec")
def broken(day: str):
    a = fetch(day)
    b = call("http", url="https://shop.example", methd="GET")
    c = call("htp", url="https://shop.example")
    return [a, b, c, fetch("größe", größe=2, retry={"attempts": -1})]
