"""The result file: a report as JSON, written and read again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from bench.figures import Figure
from bench.report import Report, Row

RESULT = Path(__file__).with_name("result.json")

_REPORT = TypeAdapter(Report)


def dumped(report: Report) -> str:
    """Valid against result.schema.json. Medians and what was met are told too: readers need not compute."""
    cpu = {load: {name: _figure(one) for name, one in by.items()} for load, by in report.cpu.items()}
    found = {**asdict(report), "rows": [_row(row) for row in report.rows], "cpu": cpu}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def loaded(text: str) -> Report:
    """The report that was dumped; what is told beside the rounds is computed from them again."""
    return _REPORT.validate_json(text)


def renewed(report: Report, later: Report, said: str) -> None:
    """Puts what was measured later, apart, in the place of what the report has of it."""
    names = [row.name for row in report.rows]
    for row in later.rows:
        if row.name in names:
            report.rows[names.index(row.name)] = row
        else:
            report.rows.append(row)
    report.cpu |= later.cpu
    # What it does not know yet it was not measured with; how long it may take is no amount.
    report.amount = {**later.amount, **report.amount, "total_seconds": later.amount["total_seconds"]}
    report.renewed |= dict.fromkeys(later.measured, said)
    report.measured += [name for name in later.measured if name not in report.measured]


def _row(row: Row) -> dict[str, Any]:
    figures = {"ours": row.ours, "direct": row.direct, "floor": row.floor}
    return {**asdict(row), **{who: _figure(one) for who, one in figures.items()}, "met": row.met}


def _figure(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    told = {"median": figure.median, "low": figure.low, "high": figure.high}
    return {**told, "rounds": list(figure.rounds)}
