"""A report as text: markdown that is also plain to read."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Figure
from bench.machine import Load
from bench.report import Report, Row

HEADS = ("", "ours", "ours min…max", "direct", "floor", "floor min…max", "aim", "met", "")
ALL = "all"
DISTURBED = 0.05
"""The share of the machine beyond which others have been measured too."""


def text(report: Report) -> str:
    """The same text for the same report, always: the page is made from the result file with it."""
    parts = [_opening(report), table(HEADS, [_cells(row) for row in report.rows])]
    if report.cpu or report.peak:
        parts.append(_processes(report))
    parts += [f"Failed: {what}" for what in report.failed]
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns padded to one width; figures to the right."""
    widths = [max(len(line[place]) for line in [heads, *lines]) for place in range(len(heads))]
    rule = [
        "-" * width if place == 0 else "-" * max(width - 1, 1) + ":" for place, width in enumerate(widths)
    ]
    return "\n".join(_line(line, widths) for line in [heads, rule, *lines])


def _opening(report: Report) -> str:
    apart = [f"Measured apart: {name}, {said}." for name, said in report.renewed.items()]
    return "\n".join([f"{circumstances(report)}.", f"{report.machine.text()}.", *apart])


def circumstances(report: Report) -> str:
    """When it was, and what else the machine did."""
    busy = f"others used {report.others:.0%} of the machine meanwhile"
    busy = f"**{busy}: do not trust these figures**" if report.others > DISTURBED else busy
    load = f"load average {_load(report.before)} before, {_load(report.after)} after"
    return f"{report.began}, {report.seconds:.0f} s; {load}; {busy}"


def _load(load: Load) -> str:
    return " ".join(f"{value:.2f}" for value in load)


def _cells(row: Row) -> list[str]:
    aim = f"≤ {_number(row.most)}" if row.most is not None else ""
    aim = f"≥ {_number(row.least)}" if row.least is not None else aim
    met = {None: "", True: "yes", False: "**no**"}[row.met]
    ours, direct, floor = (_median(figure) for figure in (row.ours, row.direct, row.floor))
    return [row.name, ours, _range(row.ours), direct, floor, _range(row.floor), aim, met, row.note]


def _processes(report: Report) -> str:
    names = list(report.peak) or [name for name in next(iter(report.cpu.values())) if name != ALL]
    lines = [
        [name, *(_spread(by.get(name)) for by in report.cpu.values()), _number(report.peak.get(name))]
        for name in names
    ]
    sums = [_spread(by.get(ALL)) for by in report.cpu.values()]
    heads = ["", *(f"CPU ms/turn, {load}" for load in report.cpu), "peak MiB"]
    return table(heads, [*lines, [ALL, *sums, _number(sum(report.peak.values()))]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _spread(figure: Figure | None) -> str:
    between = _range(figure)
    return f"{_median(figure)} ({between})" if between else _median(figure)


def _median(figure: Figure | None) -> str:
    return _number(figure.median if figure else None)


def _range(figure: Figure | None) -> str:
    """Nothing where one round, or none, leaves nothing to compare."""
    if figure is None or len(figure.rounds) < 2:
        return ""
    return f"{_number(figure.low)}…{_number(figure.high)}"


def _number(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
