"""A Prometheus of the tests: one scrape of a process, and questions to it."""

from __future__ import annotations

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.house import House


class Scrape:
    """The samples of one process at one moment."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def sum(self, name: str, **labels: str) -> float:
        """All series of a sample that have these labels, added up."""
        found = (
            sample for family in self.families.values() for sample in family.samples if sample.name == name
        )
        return sum(sample.value for sample in found if labels.items() <= sample.labels.items())

    def values(self, label: str) -> set[str]:
        """Every value of a label of ours."""
        ours = (family for name, family in self.families.items() if name.startswith("holdfast_"))
        return {
            sample.labels[label] for family in ours for sample in family.samples if label in sample.labels
        }


async def scrape(house: House, name: str) -> Scrape:
    """What a Prometheus reads of the API or worker of that name."""
    url = f"http://127.0.0.1:{house.ports[f'{name}_metrics']}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return Scrape(await answer.text())
