"""Everything that collecting and probation do once, for the sweep over the places at which a process may be killed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import penstock
from penstock.model.decisions import Verdict
from penstock.ports import ArtifactStore, StoredObject
from penstock.stores.sql.store import SqlStore
from tests.contracts import retention
from tests.contracts.artifact_store import written
from tests.contracts.retention import TERMS, evaluated, judgement_on, way_back


def collected(folder: Path, elsewhere: ArtifactStore) -> None:
    """Collect a run and bytes, reprieve what is condemned, delete in another store, fail a probation."""
    url = f"sqlite:///{folder / 'penstock.db'}"
    with penstock.connect(url, folder / "bytes", actor="ana") as client:
        with client.open_run("team/old/runs", key="a") as run:
            run.log_artifact(written(folder / "kept", b"kept"))
        client.set_retention("team/old/runs", keep_last=0)
        client.collect(dry_run=False, grace_s=0)
        kept, _ = client.wiring.artifacts.put_file(folder / "kept")
        client.wiring.store.condemn_blobs([StoredObject(kept, 4, 1e6)])
        with client.open_run("team/old/runs", key="b") as run:
            run.log_artifact(folder / "kept")
    elsewhere.delete_objects([elsewhere.put_file(folder / "kept")[0]], 60)
    with closing(SqlStore(f"sqlite:///{folder / 'probation.db'}")) as store:
        retention.move(store, "a", 0, None)
        retention.move(store, "b", 1, TERMS)
        failing = judgement_on(evaluated(store, "b", "1"), Verdict.FAIL, 2)
        store.record_probation_judgement(failing, way_back(2))
