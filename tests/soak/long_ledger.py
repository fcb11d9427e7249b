"""A store whose ledger is as long as years of work make it: every entry chained, every run stored."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from penstock.model.audit import NewEvent, event_hash, experiment_chain
from penstock.model.canonical import canonical_json
from penstock.model.ids import WORKSPACE
from penstock.model.runs import RunStatus
from penstock.stores.sql.store import SqlStore
from penstock.stores.sql.tables import experiments, ledger, ledger_heads, runs
from tests.contracts import samples
from tests.contracts.samples import ACTOR

AT_ONCE = 5_000


def fill(url: str, count: int) -> None:
    """Open and end `count` runs of one experiment in an empty store: twice as many entries in one chain."""
    with closing(SqlStore(url)) as store:
        _end(store)
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            row = dict(connection.execute(sa.select(runs)).mappings().one())
            name = connection.execute(sa.select(experiments.c.name)).scalar_one()
            chain: dict[str, str] = {"workspace": WORKSPACE, "chain_kind": "experiment", "chain_name": name}
            head = dict(connection.execute(sa.select(ledger_heads)).mappings().one())
            end = (head["sequence"], head["hash"])
            for start in range(0, count, AT_ONCE):
                news = [{**row, "run_id": f"{i * 2654435761 % 2**32:032x}", "partition": f"p{i}"} for i in _some(start)]
                connection.execute(sa.insert(runs), news)
                entries, end = _entries(chain, news, end)
                connection.execute(sa.insert(ledger), entries)
            connection.execute(sa.update(ledger_heads).values(sequence=end[0], hash=end[1]))
        engine.dispose()


def _some(start: int) -> range:
    return range(start, start + AT_ONCE)


def _end(store: SqlStore) -> None:
    store.end_run(samples.opened(store).run_id, RunStatus.FINISHED, "", ACTOR)


def _entries(
    chain: dict[str, str], news: list[dict[str, Any]], end: tuple[int, str]
) -> tuple[list[dict[str, Any]], tuple[int, str]]:
    rows = []
    sequence, previous = end
    for new in news:
        opened: tuple[Any, Any] = (None, {"key": f"grown/{new['partition']}"})
        for kind, (before, after) in {"run_opened": opened, "run_ended": ("RUNNING", "FINISHED")}.items():
            subject = {"run_id": new["run_id"]}
            event = NewEvent(experiment_chain(chain["chain_name"]), kind, subject, ACTOR, "", before, after)
            sequence += 1
            hashed = event_hash(event, sequence, new["started_ms"], previous)
            texts = {"subject": subject, "actor": ACTOR, "before": before, "after": after}
            rows.append(
                {
                    **chain,
                    **{name: canonical_json(value) for name, value in texts.items()},
                    "sequence": sequence,
                    "kind": kind,
                    "why": "",
                    "time_ms": new["started_ms"],
                    "previous_hash": previous,
                    "hash": hashed,
                }
            )
            previous = hashed
    return rows, (sequence, previous)


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
