"""The report of the quickstart, as a page or as Markdown."""

import html
from pathlib import Path
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #64748b; --line: #e2e8f0; --bar: #4f6bed; --bad: #e2554f; --page: #f8fafc; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5eaf1; --soft: #94a3b8; --line: #2b3646; --bar: #7d95ff; --bad: #ff7d76; --page: #10161f; --card: #18212d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 940px; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; letter-spacing: -.02em; }
p.lead { color: var(--soft); margin: 0 0 1.75rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: .9rem; margin-bottom: 1.75rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .9rem 1.1rem; }
.card b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .85rem; }
.table { background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; padding: .55rem .9rem; border-bottom: 1px solid var(--line); }
th { font-size: .78rem; color: var(--soft); text-transform: uppercase; letter-spacing: .04em; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.late { width: 24%; min-width: 90px; padding-right: 0; }
td .place { color: var(--soft); font-size: .85rem; }
.bar { height: 8px; border-radius: 4px; background: var(--bar); min-width: 2px; }
.bar.bad { background: var(--bad); }
b.bad { color: var(--bad); }
footer { color: var(--soft); font-size: .8rem; margin-top: 1.5rem; }
code { font-size: .75rem; overflow-wrap: anywhere; }
"""

Row = dict[str, Any]


def joined(punctuality: list[Row], airports: list[Row]) -> list[Row]:
    """Put the airports' names beside their figures, the least punctual first."""
    places = {airport["iata"]: airport for airport in airports}
    rows = [{**row, **places[row["code"]]} for row in punctuality]
    return sorted(rows, key=lambda row: (-row["share"], row["code"]))


def write_page(rows: list[Row], summary: Row, path: str) -> Row:
    most = max(row["share"] for row in rows) or 1.0
    body = "\n".join(table_row(row, most, summary["share"]) for row in rows)
    cards = "\n".join(card(value, label) for value, label in figures(rows, summary))
    sources = "<br>".join(f"<code>{html.escape(line)}</code>" for line in summary["sources"])
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>How late do flights leave?</title><style>{STYLE}</style></head>
<body><main>
<h1>How late do flights leave?</h1>
<p class="lead">The {len(rows)} busiest airports among {summary["flights"]:,} flights of early 2001; late is more than {summary["late_after"]} minutes. <b class="bad">Red</b>: more often late than all flights together.</p>
<section class="cards">{cards}</section>
<div class="table"><table><thead><tr><th>Airport</th><th class="number">Flights</th><th colspan="2">Late</th><th class="number">Median delay</th><th class="number">Worst</th></tr></thead>
<tbody>{body}</tbody></table></div>
<footer>Flights: U.S. Bureau of Transportation Statistics. Airports: Data.gov.<br>Run {html.escape(summary["run"])}. SHA-256 of what was read:<br>{sources}</footer>
</main></body></html>
"""
    return write(path, page)


def table_row(row: Row, most: float, average: float) -> str:
    bad = " bad" if row["share"] > average else ""
    place = html.escape(f"{row['city']}, {row['state']}")
    return (
        f'<tr><td><b>{html.escape(row["code"])}</b> {html.escape(row["name"])}<div class="place">{place}</div></td>'
        f'<td class="number">{row["flights"]}</td>'
        f'<td class="late"><div class="bar{bad}" style="width: {row["share"] / most:.1%}"></div></td>'
        f'<td class="number">{row["share"]:.0%}</td><td class="number">{minutes(row["median"])}</td>'
        f'<td class="number">{minutes(row["worst"])}</td></tr>'
    )


def minutes(delay: float) -> str:
    return f"{delay:+.0f} min".replace("-", "−") if round(delay) else "on time"


def card(value: str, label: str) -> str:
    return f'<div class="card"><b>{html.escape(value)}</b><span>{html.escape(label)}</span></div>'


def figures(rows: list[Row], summary: Row) -> list[tuple[str, str]]:
    return [
        (f"{summary['flights']:,}", "flights"),
        (f"{summary['share']:.0%}", "of them late"),
        (rows[0]["code"], f"least punctual, {rows[0]['share']:.0%} late"),
        (rows[-1]["code"], f"most punctual, {rows[-1]['share']:.0%} late"),
    ]


def write_markdown(rows: list[Row], summary: Row, path: str) -> Row:
    lines = [
        "# How late do flights leave?",
        "",
        f"{summary['flights']:,} flights, {summary['share']:.0%} more than {summary['late_after']} minutes late.",
        "",
        "| airport | city | flights | late | median |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['code']} | {row['city']}, {row['state']} | {row['flights']} | {row['share']:.0%} | {minutes(row['median'])} |"
        for row in rows
    ]
    return write(path, "\n".join(lines) + "\n")


def write(path: str, text: str) -> Row:
    target = Path(__file__).parent / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    return {"path": str(target), "bytes": len(text.encode())}
