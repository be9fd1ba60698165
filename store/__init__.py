"""The memory: Postgres, one object per noun."""

from __future__ import annotations

from store.abilities import Abilities
from store.accept import Accept
from store.accounts import Accounts
from store.admission import Admission, Caps
from store.aliases import Aliases
from store.audit import Audit
from store.backfill import Backfill
from store.bots import Bots
from store.budgets import Budgets
from store.calendar import Calendar
from store.calls import Calls
from store.channels import Channels
from store.contacts import Contacts
from store.conversations import Conversations
from store.database import Database
from store.deliveries import Deliveries
from store.executions import Executions
from store.expiry import Expiry
from store.feed import Feed
from store.keyring import Keyring
from store.limits import Limits, Quotas
from store.log import Log
from store.looks import Looks
from store.messages import Messages
from store.migrate import pending
from store.occurrences import Ledger
from store.origins import Origins
from store.projection import Projections
from store.ratings import Ratings
from store.rotation import Rotation
from store.runs import Runs
from store.secrets import Secrets
from store.sending import Sending
from store.sessions import Sessions
from store.skillsets import Skillsets
from store.steps import Reach, Steps
from store.target_acts import TargetActs
from store.targets import Targets
from store.task_feed import TaskFeed
from store.task_runs import TaskRuns
from store.task_usage import TaskUsage
from store.tasks import Tasks
from store.trigger_events import TriggerEvents
from store.trigger_runs import TriggerRuns
from store.triggers import Triggers
from store.turns import Turns
from store.upkeep import Upkeep
from store.usage import Usage
from store.waits import Waits

__all__ = ["Caps", "Keyring", "Quotas", "Reach", "Store"]


class Store:
    """Everything that is remembered. `feed.run()` and `log.run()` are the owner's to start."""

    def __init__(
        self,
        pools: tuple[Database, Database],
        caps: Caps,
        quotas: Quotas,
        reach: Reach,
        keyring: Keyring,
    ) -> None:
        database, stream = pools
        self.database = database
        self.stream = stream
        """The event log's own pool."""
        self._keep_things(database, keyring)
        self.accounts = Accounts(database)
        self.audit = Audit(database)
        self.aliases = Aliases(database)
        self.sessions = Sessions(database)
        self.origins = Origins(database)
        self.runs = Runs(database)
        self.admission = Admission(database, caps)
        self.usage = Usage(database)
        self.accept = Accept(database, self.runs, self.admission, Limits(quotas, self.usage), self.targets)
        self.turns = Turns(database, self.admission)
        self._keep_time(database, keyring)
        self.steps = Steps(database, self.admission, reach)
        self.calls = Calls(database)
        self.budgets = Budgets(database)
        self.waits = Waits(database, self.admission)
        self.looks = Looks(database)
        self.upkeep = Upkeep(database)
        self.expiry = Expiry(database, self.tasks)
        self.log = Log(stream)
        self.feed = Feed(stream)

    def _keep_time(self, database: Database, keyring: Keyring) -> None:
        """When tasks are due, their runs, and what is seen of these."""
        self.trigger_runs = TriggerRuns(self.accept)
        self.trigger_events = TriggerEvents(database, self.accept, self.trigger_runs)
        self.task_runs = TaskRuns(database, self.accept, self.runs, self.trigger_runs)
        self.ledger = Ledger(database, self.task_runs)
        self.calendar = Calendar(database, self.task_runs)
        self.backfill = Backfill(database, self.task_runs)
        self.tasks = Tasks(database, self.admission, self.task_runs, self.targets)
        self.triggers = Triggers(database, self.admission, self.task_runs, self.targets, keyring)
        self.executions = Executions(database, self.turns)
        self.task_feed = TaskFeed(database)
        self.task_usage = TaskUsage(database)
        self.projection = Projections(database)

    def _keep_things(self, database: Database, keyring: Keyring) -> None:
        """What callers make, change and remove."""
        self.bots = Bots(database)
        self.skillsets = Skillsets(database)
        self.abilities = Abilities(database)
        self.contacts = Contacts(database)
        self.conversations = Conversations(database)
        self.messages = Messages(database)
        self.ratings = Ratings(database)
        self.channels = Channels(database)
        self.sending = Sending(database, keyring)
        self.secrets = Secrets(database, keyring)
        self.rotation = Rotation(database, keyring)
        self.deliveries = Deliveries(database)
        self.targets = Targets(database, keyring)
        self.target_acts = TargetActs(database, keyring)

    @classmethod
    async def open(
        cls,
        url: str,
        caps: Caps | None = None,
        quotas: Quotas | None = None,
        reach: Reach | None = None,
        keyring: Keyring | None = None,
    ) -> Store:
        """Opens lazily: Postgres need not be there yet. Without a keyring no secret is kept."""
        # Tokens do not stand in line behind the transactions of a hundred turns that end at once.
        database, stream = Database(url), Database(url, size=2)
        await database.open()
        await stream.open()
        pools = (database, stream)
        return cls(pools, caps or Caps(), quotas or Quotas(), reach or Reach(), keyring or Keyring())

    async def pending_migrations(self) -> list[str]:
        """What `python -m store migrate` would apply. Raises Unavailable."""
        async with self.database.connection() as connection:
            return await pending(connection)

    async def close(self) -> None:
        await self.database.close()
        await self.stream.close()
