"""A flow in Python: typed inputs, a map over a list that is known only then, a condition, a rescue.

flowbuilder run examples/python_flow/flow.py:daily_report -i day=2026-01-05
flowbuilder graph examples/python_flow/flow.py:daily_report
"""

import datetime as dt
from dataclasses import dataclass

from flowbuilder import flow, map, task, when


@dataclass
class Order:
    number: int
    customer: str
    total: float


ORDERS = [Order(1, "ann", 20.0), Order(2, "bob", 7.5), Order(3, "ann", 12.5)]


@task(effect="read", retry=3)
def fetch(day: dt.date, limit: int) -> list[Order]:
    return ORDERS[: limit if day.year >= 2026 else 0]


@task(effect="read", timeout="10s")
async def discount(order: Order) -> float:
    if order.customer == "bob":
        raise LookupError("nobody knows bob")
    return round(order.total * 0.1, 2)


@task(effect="pure")
def add_up(orders: list[Order], discounts: list[float | None]) -> float:
    return sum(order.total - (less or 0) for order, less in zip(orders, discounts, strict=True))


@task
def congratulate(total: float) -> str:
    return f"a good day: {total:.2f}"


@flow
def daily_report(day: dt.date = dt.date(2026, 1, 5), limit: int = 100):
    """Fetch a day's orders, look up each discount, and add up what is left."""
    orders = fetch(day, limit)
    discounts = map(discount.with_options(on_error="continue"), orders, limit=8)
    total = add_up(orders, discounts)
    with when(total > 30):
        said = congratulate(total)
    return {"total": total, "discounts": discounts, "said": said.default("a day like others")}


if __name__ == "__main__":
    print(daily_report())
