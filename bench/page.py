"""`python -m bench.page`: puts the table of bench/result.json between the two markers of bench/README.md."""

from __future__ import annotations

from pathlib import Path

from bench import table
from bench.result import RESULT, loaded

PAGE = Path(__file__).with_name("README.md")
BEGIN = "<!-- the last run: written by `make bench` -->\n"
END = "<!-- end of the last run -->\n"


def renewed(page: str, result: str) -> str:
    """The page with the result's table; every word outside the markers stays. ValueError without markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the page has lost a marker of its table")
    return f"{before}{BEGIN}\n{table.text(loaded(result))}\n{END}{after}"


def renew() -> None:
    PAGE.write_text(renewed(PAGE.read_text(), RESULT.read_text()))


if __name__ == "__main__":
    renew()
