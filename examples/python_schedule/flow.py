"""Flows in Python that start by themselves: one each morning, one when that has ended.

flowbuilder up examples/python_schedule
flowbuilder schedules next morning --folder examples/python_schedule
"""

from flowbuilder import flow, lang, task


@task(effect="read")
def orders_of(day: str) -> list[dict]:
    return [{"day": day, "total": 20.0}, {"day": day, "total": 12.5}]


@task(effect="pure")
def total(orders: list[dict]) -> float:
    return sum(order["total"] for order in orders)


@task(effect="pure")
def said(report: dict) -> str:
    return f"{report['day']}: {report['total']:.2f}"


@flow(
    timezone="Europe/Berlin",
    triggers=[
        {
            "name": "daily",
            "cron": "0 6 * * *",
            "with": {"day": lang.str(lang.date(lang.trigger.scheduled_at))},
        }
    ],
)
def morning(day: str = "2026-01-05"):
    """Add up the orders of a day."""
    return {"day": day, "total": total(orders_of(day))}


@flow(triggers=[{"flow": "morning", "with": {"report": lang.trigger.run.outputs}}])
def announcement(report: dict = {"day": "2026-01-05", "total": 0.0}):  # noqa: B006 - read once, never changed
    """Say what the morning's report came to."""
    return said(report)
