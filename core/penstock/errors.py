"""The tree of failures.

    PenstockError
        Terminal                 the same call will fail again: do not retry
            InvalidValue             what was given cannot be used as it is
                InvalidPolicy            a gate policy that cannot mean anything safe
            NotFound                 a thing that was named does not exist
            Conflict                 the world is not as the caller expected
                DataChanged              rows whose digest is not the expected one
            Fenced                   a newer attempt of this step took over
            NotAuthorized            no authorization on record covers this change
            GateBlocked              the gate did not open
            ForeignReference         a reference that belongs to another pipeline run
            Corrupted                stored bytes are not what was stored
            Untrusted                loading would construct types nobody vouched for
            PredictionFailed         a model could not predict the rows it was given
            MissingExtra             an optional dependency is not installed
            SchemaMismatch           the store's schema is older or newer than this code
        Transient                the same call may succeed later: retry is right
            StoreUnavailable         a database or an artifact store cannot be reached
            Busy                     somebody else holds what this call needs
            BlobsCollected           stored bytes were deleted before a record referred to them

Orchestrator adapters map the two branches and nothing else. Each error takes facts, builds its own sentence
(what was given, what was expected, what to do), keeps the facts as attributes and survives pickling, because
errors cross process borders in every orchestrator.
"""

from __future__ import annotations

from typing import Any


def rebuild(cls: type[PenstockError], args: tuple[Any, ...], facts: dict[str, Any]) -> PenstockError:
    """Return the error of this class with these facts: how errors cross process borders."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(facts)
    return error


class PenstockError(Exception):
    """Anything Penstock raises on purpose. `str(error)` is one readable sentence or two."""

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, (type(self), self.args, self.__dict__)


class Terminal(PenstockError):
    """Retrying cannot help: the same call will fail again."""


class Transient(PenstockError):
    """Retrying is right: nothing was half-done, and the same call may succeed later."""


def _sentence(text: str, hint: str) -> str:
    return f"{text}. {hint}" if hint else text


class InvalidValue(Terminal, ValueError):
    """A value that cannot be used: says the field, what was given, what was expected and what to do."""

    def __init__(self, field: str, given: object, expected: str, hint: str = "") -> None:
        shown = repr(given)
        if len(shown) > 200:
            shown = shown[:197] + "..."
        super().__init__(_sentence(f"{field}: expected {expected}, got {shown}", hint))
        self.field, self.given, self.expected, self.hint = field, shown, expected, hint


class InvalidPolicy(InvalidValue):
    """A gate policy that is refused at load, with the place in the text where it goes wrong."""

    def __init__(self, where: str, problem: str, hint: str = "") -> None:
        Terminal.__init__(self, _sentence(f"policy {where}: {problem}", hint))
        self.field, self.given, self.expected, self.hint = where, "", problem, hint


class NotFound(Terminal, LookupError):
    """A named thing that does not exist."""

    def __init__(self, kind: str, name: object, hint: str = "") -> None:
        super().__init__(_sentence(f"{kind} {str(name)!r} does not exist", hint))
        self.kind, self.name, self.hint = kind, str(name), hint


class Conflict(Terminal):
    """The world is not as the caller expected; nothing was changed. Says what was found instead."""

    def __init__(self, kind: str, name: object, expected: object, found: object, hint: str = "") -> None:
        super().__init__(_sentence(f"{kind} {str(name)!r}: expected {expected}, found {found}", hint))
        self.kind, self.name, self.hint = kind, str(name), hint
        self.expected, self.found = str(expected), str(found)


class DataChanged(Conflict):
    """Rows that are not the expected ones: their digests differ."""

    def __init__(self, kind: str, name: str, expected: str, found: str, hint: str) -> None:
        text = f"{kind} changed: expected {expected}, found {found} in {name!r}"
        Terminal.__init__(self, _sentence(text, hint))
        self.kind, self.name, self.hint = kind, name, hint
        self.expected, self.found = expected, found


class Fenced(Terminal):
    """A newer attempt of the same step has taken over; this one may no longer write, finish or promote."""

    def __init__(self, step: str, attempt: int, current: int) -> None:
        super().__init__(
            f"step {step!r}: attempt {attempt} has been superseded by attempt {current} and can no longer write. "
            "Stop this process; the newer attempt carries on"
        )
        self.step, self.attempt, self.current = step, attempt, current


class NotAuthorized(Terminal):
    """No authorization on record covers this registration or alias move; nothing was changed."""

    def __init__(self, change: str, reason: str, hint: str = "") -> None:
        super().__init__(_sentence(f"{change} is not authorized: {reason}", hint))
        self.change, self.reason, self.hint = change, reason, hint


class NotSeenToLoad(NotAuthorized):
    """A version that may not get an alias because no load check on record says that it loads and predicts."""


class GateBlocked(Terminal):
    """A gate that did not open: carries the decision's id, its verdict and its reasons."""

    def __init__(self, decision_id: str, verdict: str, reasons: str) -> None:
        super().__init__(f"gate {verdict}: {reasons} (decision {decision_id})")
        self.decision_id, self.verdict, self.reasons = decision_id, verdict, reasons


class ForeignReference(Terminal):
    """A reference that arrived from elsewhere and does not belong to this pipeline run."""

    def __init__(self, kind: str, name: str, belongs_to: str, expected: str) -> None:
        super().__init__(
            f"{kind} {name!r} belongs to run {belongs_to}, not to run {expected}. "
            "Pass a reference made in this run, or declare accept_from=[...] in the pipeline's code"
        )
        self.kind, self.name, self.belongs_to, self.expected = kind, name, belongs_to, expected


class Corrupted(Terminal):
    """Stored bytes that are not what was stored: missing, cut short or changed."""

    def __init__(
        self,
        kind: str,
        name: str,
        expected: str,
        found: str,
        hint: str = "It was not used; restore the object from a backup or use another version",
    ) -> None:
        super().__init__(_sentence(f"{kind} {name!r} is corrupted: expected {expected}, found {found}", hint))
        self.kind, self.name, self.expected, self.found = kind, name, expected, found


class Untrusted(Terminal):
    """Loading or saving this model would construct types that nobody has vouched for."""

    def __init__(self, what: str, types: tuple[str, ...], hint: str) -> None:
        super().__init__(_sentence(f"{what} contains types that are not trusted: {', '.join(types)}", hint))
        self.what, self.types, self.hint = what, types, hint


class PredictionFailed(Terminal):
    """A model that raised, or answered with something that is not one prediction per row."""

    def __init__(self, model: str, rows: str, cause: str) -> None:
        super().__init__(f"model {model!r} failed to predict rows {rows}: {cause}")
        self.model, self.rows, self.cause = model, rows, cause


class LoadCheckFailed(Terminal):
    """A version that does not load or predict in a clean process, and therefore gets no alias."""

    def __init__(self, version: str, cause: str, hint: str = "") -> None:
        super().__init__(_sentence(f"{version} failed its load check: {cause}", hint))
        self.version, self.cause, self.hint = version, cause, hint


class MissingExtra(Terminal, ImportError):
    """An optional dependency that is not installed, with the command that installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'penstock[{extra}]'")
        self.feature, self.extra = feature, extra


class SchemaMismatch(Terminal):
    """The store was written by an older or a newer Penstock than this one."""

    def __init__(self, store: str, found: str, expected: str, hint: str) -> None:
        super().__init__(f"store {store}: its schema is at revision {found}, this code needs {expected}. {hint}")
        self.store, self.found, self.expected, self.hint = store, found, expected, hint


class StoreUnavailable(Transient):
    """A database or an artifact store that cannot be reached just now."""

    def __init__(self, store: str, cause: str, hint: str = "") -> None:
        super().__init__(_sentence(f"store {store} cannot be reached: {cause}", hint))
        self.store, self.cause, self.hint = store, cause, hint


class Busy(Transient):
    """Somebody else holds what this call needs; try again."""

    def __init__(self, what: str, waited_s: float) -> None:
        super().__init__(f"{what} is busy: gave up after {waited_s:g} s. Try again")
        self.what, self.waited_s = what, waited_s


class BlobsCollected(Transient):
    """Bytes that were stored, but deleted as nobody's before a record referred to them: store them again.

    `sweeps` names the deletions that are over: whoever stores the bytes again after having seen them may refer to them.
    With `sweeping` some are still going on.
    """

    def __init__(self, sha256s: tuple[str, ...], sweeps: tuple[str, ...], sweeping: bool) -> None:
        shown = ", ".join(sha256s[:3]) + (" ..." if len(sha256s) > 3 else "")
        super().__init__(f"bytes nobody referred to have been deleted meanwhile: {shown}. Store them again")
        self.sha256s, self.sweeps, self.sweeping = sha256s, sweeps, sweeping
