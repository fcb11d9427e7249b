"""What a gate is told beside the policy and the evaluation: who asks, when, for which look, and what people said.

Everything that varies with the moment of deciding comes in here, so that deciding itself stays a pure function; the
context is stored with the decision, and the decision is recomputed from it. A fact that is not known is left out: the
rules that ask for it are then undecidable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from penstock.errors import InvalidValue

APPROVED = "approved"
REJECTED = "rejected"


@dataclass(frozen=True)
class ApprovalGiven:
    """A person's answer to a request that showed everything with the digest `binding`.

    `roles` are those the person answered in; `authenticated` says whether anybody checked who it was. `at_ms` and
    `expires_ms` are the store's time in milliseconds; without `expires_ms` only the policy's own limit ends it.
    """

    approval_id: str
    subject: str
    verdict: str
    binding: str
    at_ms: int
    roles: tuple[str, ...] = ()
    expires_ms: int | None = None
    reason: str = ""
    authenticated: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "roles", tuple(self.roles))
        if self.verdict not in (APPROVED, REJECTED):
            raise InvalidValue("approval verdict", self.verdict, f"{APPROVED} or {REJECTED}")


@dataclass(frozen=True)
class LookTaken:
    """Which look at the data this decision is, counted from 1 in the decision's transaction.

    `number` counts the looks of the model family, `held_out_number` those at these very rows. `reused` says that some
    of the rows were looked at before; `adaptive`, that the candidate may depend on what those looks showed, which
    nobody but the team can rule out. `before` has (alpha, passed) of each earlier look of the family that reserved
    something of the budget, in order.
    """

    number: int
    held_out_number: int = 1
    reused: bool = False
    adaptive: bool = True
    before: tuple[tuple[float, bool], ...] = ()
    family: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "before", tuple((float(alpha), bool(passed)) for alpha, passed in self.before))
        for name in ("number", "held_out_number"):
            count = getattr(self, name)
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise InvalidValue(name, count, "a count from 1")

    @property
    def fresh(self) -> bool:
        """Whether none of the rows was looked at before."""
        return not self.reused and self.held_out_number == 1


@dataclass(frozen=True)
class AnchorVersion:
    """The version that a person set as the model's anchor: what repeated small losses are held against."""

    version: int
    payload_digest: str = ""


@dataclass(frozen=True)
class DataTimes:
    """The first and the last moment that rows speak of, in milliseconds since 1970 UTC."""

    first_ms: int
    last_ms: int


@dataclass(frozen=True)
class TrainingOverlap:
    """How many of the held-out rows were found among the training rows.

    `share` is the estimated share of held-out rows, `at_most` its upper bound where rows were only sampled.
    `miss_probability` is the chance that an overlap of one row would have gone unseen.
    """

    share: float
    at_most: float
    rows: int = 0
    miss_probability: float = 0.0


@dataclass(frozen=True)
class GateContext:
    """What `decide` may ask about beside the evaluation. Every field may be left out.

    `model` and `alias` are what is decided about: a baseline must then be of that model. `champion_version` and
    `champion_generation` are where the alias points at this moment (not when it was measured), which is part of what
    a person approves. `authors` are the subjects who made the candidate; under four eyes none of them can approve it.
    `binding` is the digest of everything an approval holds for, as it stands now. `anchor` is the model's anchor now.
    `now_ms` is the store's time.

    `training_digests` are the digests of the data the model was trained on; `training_overlap`, `training_times` and
    `data_times` are of those data and of the held-out data. `tags` are the model's or run's. `facts` are further facts
    about the model, beside the evaluation's `model_facts`: `load_test` ({passed: bool, …}), `latency_p95_ms`,
    `peak_memory_mb`, `licence`, `card`.
    """

    model: str = ""
    alias: str = ""
    champion_version: int | None = None
    champion_generation: int | None = None
    authors: tuple[str, ...] = ()
    now_ms: int | None = None
    training_digests: tuple[str, ...] = ()
    training_overlap: TrainingOverlap | None = None
    training_times: DataTimes | None = None
    data_times: DataTimes | None = None
    tags: Mapping[str, str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    approvals: tuple[ApprovalGiven, ...] = ()
    binding: str = ""
    look: LookTaken | None = None
    anchor: AnchorVersion | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, without what is not known."""
        values = {known.name: getattr(self, known.name) for known in fields(self)}
        known = {name: value for name, value in values.items() if value is not None and value not in ("", ())}
        return {name: _plain(value) for name, value in known.items() if name != "facts" or value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GateContext:
        """Inverse of `to_json`; `InvalidValue` for what is none of it. Reads what earlier versions stored, too."""
        known = {known.name for known in fields(cls)}
        if unknown := sorted(data.keys() - known):
            raise InvalidValue("context", unknown[0], f"one of {', '.join(sorted(known))}")
        values = dict(data)
        for name, part in _PARTS.items():
            if values.get(name) is not None:
                values[name] = _read(name, part, values[name])
        values["approvals"] = tuple(_read("approvals", ApprovalGiven, given) for given in values.get("approvals", ()))
        for name in ("training_digests", "authors"):
            texts = values.get(name, ())
            if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
                raise InvalidValue(name, texts, "a list of texts")
            values[name] = tuple(texts)
        return cls(**values)


_PARTS: Mapping[str, type[Any]] = {
    "training_overlap": TrainingOverlap,
    "training_times": DataTimes,
    "data_times": DataTimes,
    "look": LookTaken,
    "anchor": AnchorVersion,
}


def _read(name: str, part: type[Any], given: Any) -> Any:
    try:
        return part(**given)
    except TypeError as error:
        expected = f"a mapping with {', '.join(known.name for known in fields(part))}"
        raise InvalidValue(f"context {name}", given, expected) from error


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return {name: _plain(part) for name, part in value.__dict__.items()} if hasattr(value, "__dict__") else value
