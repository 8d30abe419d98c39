"""The parts of a pipeline, each right by itself; whether they hang together say `include.spec.checks`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, tzinfo
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr

from include.spec.behaviour import Behaviour
from include.spec.faults import Fault
from include.spec.fields import Address, ClockTime, ConnectionId, Cron, Day, Name, Share, Span, Strict, Zone
from include.spec.kinds import AnySource, SqlSource
from include.spec.learning import SHADOW_ROWS, Promotion, Target, Thresholds, Training
from include.spec.lines import Document
from include.spec.monitoring import Monitoring
from include.spec.quality import Quality
from include.spec.recipes import Lag, Recipe
from include.spec.rollout import Rollout
from include.windows import Window, midnight

# Each window is a run of the scheduler; more than this is a slip of the pen in a date.
MOST_WINDOWS = 2000
SHORTEST_DAYS = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}

Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$", examples=["desk.operation"])]
Event = Literal[
    "failure",
    "quality",
    "overdue",
    "retrain",
    "investigate",
    "approval",
    "promotion",
    "rollback",
    "serving",
    "skew",
    "health",
]
Severity = Annotated[
    Literal["info", "warning", "critical"],
    Field(
        description="Only what is at least as severe: a failure, something overdue or a service in trouble is critical,"
        " low quality, a doubt, a promotion to approve, a rollback or a skew a warning,"
        " a training or a promotion an info; a change of health is as severe as what it turns to, degraded critical."
    ),
]


class Schedule(Strict):
    """When the pipeline runs by itself."""

    cron: Cron = Field(description="When to run, read in `timezone`.")
    timezone: Zone = Field("UTC", description="IANA zone of the cron line and of calendar features.")
    start: Day = Field(description="The first day this pipeline has data for.")
    end: Day | None = Field(None, description="Last day to schedule; leave out for a live source.")
    look_back: Span | None = Field(
        None, description="How much further back a scheduled run asks, for rows that come late: `3 days`."
    )
    task_timeout: Span = Field("6 hours", description="A task that runs so long hangs: it is ended and tried again.")
    longest_window: Literal["day", "week", "month", "quarter", "year"] = Field(
        "month", description="A missed stretch of time is loaded in windows of at most this length, oldest first."
    )

    def _faults(self) -> Iterator[Fault]:
        if self.end is not None and self.end < self.start:
            yield Fault(("end",), f"{self.end} is before start {self.start}; swap them")


class Notify(Strict):
    """Postgres `NOTIFY` from a database that a source of kind `sql` reads."""

    connection: ConnectionId = Field(description="The Airflow Connection of that source.")
    channel: Name = Field(description="The channel that is notified when rows were written.")
    quiet_seconds: float = Field(
        2,
        ge=0.1,
        le=300,
        description="Wait for so much silence, so that a burst starts one run; in a lasting stream ten times as long.",
        json_schema_extra={"unit": "s"},
    )


class Queue(Strict):
    """Messages of a queue, through Airflow's message-queue trigger; needs two more packages, see docs/events.md."""

    scheme: Literal["kafka"] = Field(description="Kind of queue.")
    connection: ConnectionId = Field(description="The Airflow Connection of the brokers, with the consumer's settings.")
    topics: tuple[Topic, ...] = Field(min_length=1, description="Topics whose messages say that rows were written.")


class Events(Strict):
    """What starts the pipeline's ingest beside the clock. An event says when to look, the window says what to load."""

    webhook: Literal[True] = Field(
        True, description="Anybody whom Airflow's API allows it may report news; that goes with any event."
    )
    notify: Notify | None = Field(None, description="Listen to a database.")
    queue: Queue | None = Field(None, description="Listen to a message queue.")


class Webhook(Strict):
    """A URL that takes JSON, such as an incoming webhook of a chat."""

    kind: Literal["webhook"] = Field(description="A URL that takes JSON.")
    connection: ConnectionId = Field(description="Airflow Connection of type http whose host is the URL.")
    at_least: Severity = "warning"

    @property
    def name(self) -> str:
        """How the destination is called in ``ops.alert``."""
        return f"webhook {self.connection}"


class Email(Strict):
    """A mail to some addresses."""

    kind: Literal["email"] = Field(description="A mail.")
    connection: ConnectionId = Field("smtp_default", description="Airflow Connection of type smtp, with `from_email`.")
    addresses: tuple[Address, ...] = Field(min_length=1, description="Who gets it.")
    at_least: Severity = "warning"

    @property
    def name(self) -> str:
        """How the destination is called in ``ops.alert``."""
        return f"email {self.connection} {', '.join(self.addresses)}"


class Alerts(Strict):
    """Who hears about it."""

    on: tuple[Event, ...] = Field(
        get_args(Event),
        description="Which events are told.",
    )
    to: tuple[Annotated[Webhook | Email, Field(discriminator="kind")], ...] = Field(
        (), description="Where they are delivered, beside the task log and `ops.alert`."
    )
    late_after_minutes: float = Field(
        60, gt=0, le=7 * 24 * 60, description="A run that has not ended so long after it was queued is overdue."
    )


class ServingLimits(Strict):
    """Limits of what the prediction service did in a window; beyond them a figure is a breach, which is told."""

    latency_ms: Annotated[float | None, Field(json_schema_extra={"unit": "ms"})] = Field(
        None, gt=0, description="Time of an answer that at most one request of a hundred may exceed."
    )
    warned_share: Share | None = Field(None, ge=0, lt=1, description="Share of answered rows that may have a warning.")
    error: Annotated[float | None, Field(json_schema_extra={"unit": "the target's"})] = Field(
        None, gt=0, description="Mean loss of answers whose truth is known: of `mae` in the target's unit."
    )
    outcomes: dict[Name, float] = Field({}, description="Least mean of outcomes that feedback tells, by their name.")


class Predictions(Strict):
    """What the applications that ask for predictions may count on."""

    out_of_range: Literal["refuse", "flag"] = Field(
        "refuse", description="A value outside the contract's bounds is refused, or answered with a warning."
    )
    stale_after: Span | None = Field(
        None,
        description="Features that are looked up and older than this have a warning; by default twice the longest time"
        " between two runs of the schedule.",
    )
    limits: ServingLimits = Field(ServingLimits(), description="Limits of what the prediction service does.")
    due: ClockTime | None = Field(
        None,
        description="When the prediction for the next day of the target's calendar has to be there, in the"
        " schedule's zone, on each day the calendar has; later than that it is told as overdue.",
    )
    rollout: Rollout = Field(Rollout(), description="What becomes of a challenger that waits in shadow.")
    keep_days: int = Field(
        730,
        ge=1,
        description="How long predictions are kept; longer where feedback was given or the version still stands.",
        json_schema_extra={"unit": "days"},
    )


class Replay(Strict):
    """What `make run` plays through the scheduler, window by window, in order."""

    history: tuple[Day, Day] | None = Field(
        None, description="One first window, loaded at once: its start, and its end, which is not in it."
    )
    start: Day = Field(description="Start of the first window.")
    end: Day = Field(description="End of the last window, which is not in it.")
    step: Literal["day", "week", "month", "quarter", "year"] = Field(
        "month", description="Length of each window, counted from `start`."
    )

    def _faults(self) -> Iterator[Fault]:
        if self.end <= self.start:
            yield Fault(("end",), f"{self.end} is not after start {self.start}; swap them")
        if self.history and self.history[0] >= self.history[1]:
            yield Fault(("history",), f"{self.history[1]} is not after {self.history[0]}; swap them")
        elif self.history and self.history[1] > self.start:
            yield Fault(("start",), f"{self.start} lies inside history; begin at its end {self.history[1]} or later")
        count = (self.end - self.start).days // SHORTEST_DAYS[self.step]
        if count > MOST_WINDOWS:
            yield Fault(("step",), f"makes about {count} windows; choose a longer one, or play a shorter time")

    @property
    def first(self) -> date:
        """The first day played, history included."""
        return self.history[0] if self.history else self.start

    def windows(self, zone: tzinfo) -> list[Window]:
        """Return the plan's windows in order; dates are midnights in a zone."""
        history = [Window(*(midnight(day, zone) for day in self.history))] if self.history else []
        return [*history, *Window(midnight(self.start, zone), midnight(self.end, zone)).split(self.step, zone)]


class Parts(Strict):
    """Everything a pipeline's file says."""

    pipeline: Name = Field(description="Name of the pipeline; the folder has the same.")
    title: str = Field(min_length=3, description="One line for people.")
    description: str = Field(min_length=3, description="Makes what, from what, and when it matters: shown in the UI.")
    owner: str = Field(min_length=2, description="Team that answers for it.")
    impact: Literal["tier_1", "tier_2", "tier_3"] = Field(description="How much a failure matters; tier_1 most.")
    schedule: Schedule = Field(description="When it runs by itself.")
    events: Events | None = Field(None, description="What starts its ingest beside the clock.")
    sources: dict[Name, AnySource] = Field(min_length=1, description="Where rows come from, by name; one is `main`.")
    features: tuple[Recipe, ...] = Field(min_length=1, description="What models see, in this order.")
    target: Target = Field(description="What is predicted.")
    training: Training = Field(description="What a training reads and who competes.")
    thresholds: Thresholds = Field(description="Limits of the measures of a window.")
    monitoring: Monitoring = Field(Monitoring(), description="How the champion is watched, and when to train again.")
    quality: Quality = Field(Quality(), description="What is asked of the data's quality as a whole.")
    promotion: Promotion = Field(Promotion(), description="What a challenger has to show.")
    behaviour: tuple[Behaviour, ...] = Field((), description="How a challenger has to behave, a test each.")
    predictions: Predictions = Field(
        Predictions(), description="What is promised to those who ask for predictions, and asked of them."
    )
    alerts: Alerts = Field(Alerts(), description="Who hears about it.")
    replay: Replay = Field(description="What `make run` plays through the scheduler.")
    _file: str = PrivateAttr(default="pipeline.yaml")
    _document: Document = PrivateAttr(default_factory=Document)

    @property
    def main(self) -> str:
        """Name of the main source, whose table is ``core.<pipeline>``."""
        return next(name for name, source in self.sources.items() if source.main)

    @property
    def zone(self) -> ZoneInfo:
        """Zone in which days begin: that in which the main source writes dates, the schedule's where it writes times.

        The spec decides and not the rows: one row at midnight would look like a date.
        """
        source = self.sources[self.main]
        return source.zone if source.writes_dates else ZoneInfo(self.schedule.timezone)

    @property
    def shadow_rows(self) -> int:
        """Live rows that a challenger has to predict beside the champion before it may take over; 0 for none."""
        rows = self.promotion.shadow_rows
        return rows if rows is not None else SHADOW_ROWS * (self.impact == "tier_1")

    def table(self, source: str) -> str:
        """Return the unqualified table a source is loaded into: ``<p>`` or ``<p>_<source>``."""
        return self.pipeline if self.sources[source].main else f"{self.pipeline}_{source}"

    def notified_source(self, notify: Notify) -> SqlSource | None:
        """Return the source that reads what a channel tells of: the first of kind `sql` with its connection."""
        sources = (source for source in self.sources.values() if isinstance(source, SqlSource))
        return next((source for source in sources if source.connection == notify.connection), None)

    def feature_names(self) -> list[str]:
        """Return the names of all features in the order models see them."""
        return [name for recipe in self.features for name in recipe.names()]

    def season_feature(self, season: int) -> str | None:
        """Return the feature that is the target's column so many rows before the target, or None."""
        lags = [one for one in self.features if isinstance(one, Lag) and one.column == self.target.column]
        names = {rows: name for lag in lags for rows, name in zip(lag.periods, lag.names(), strict=True)}
        return names.get(season - self.target.horizon)

    def where(self, *path: str | int) -> str:
        """Return ``file:line`` of a field, for errors that have to point at it."""
        return f"{self._file}:{self._document.line(path)}"
