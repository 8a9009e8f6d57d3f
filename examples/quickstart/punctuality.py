"""What the flow asks Python for: reading the flights, and how punctual an airport is."""

import json
import statistics
from pathlib import Path
from typing import Any


def read_flights(path: str) -> list[dict[str, Any]]:
    return json.loads((Path(__file__).parent / path).read_text("utf-8"))


def punctuality(code: str, flights: list[dict[str, Any]], late_after: int) -> dict[str, Any]:
    delays = [flight["delay"] for flight in flights]
    late = sum(delay > late_after for delay in delays)
    return {
        "code": code,
        "flights": len(delays),
        "late": late,
        "share": late / len(delays),
        "median": statistics.median(delays),
        "worst": max(delays),
    }
