"""The seams of the core: what services need from the outer pieces. The docstrings are the contract.

Every method of a store is atomic by itself; where two writes belong together there is one method for both. A
passing fault is raised as `Transient`, everything else as `Terminal`; nothing is retried by the callee, but for single
requests over a network within a stated deadline.
"""

from penstock.ports.artifact_store import ArtifactStore, Progress, StoredObject
from penstock.ports.courier import Courier
from penstock.ports.evaluator import DataReader, Evaluator, Measured, TrainingRows
from penstock.ports.event_records import EventRecords
from penstock.ports.gate_records import GateRecords
from penstock.ports.judgement_records import JudgementRecords
from penstock.ports.ledger_records import LedgerRecords
from penstock.ports.metadata_store import MetadataStore
from penstock.ports.model_format import IsolatedModel, ModelFormat, PackagedModel, Predictor
from penstock.ports.model_records import ModelRecords
from penstock.ports.probation_records import ProbationRecords
from penstock.ports.registry_records import RegistryRecords
from penstock.ports.retention_records import RetentionRecords
from penstock.ports.run_records import RunRecords
from penstock.ports.sandbox import Limits
from penstock.ports.ungated_records import UngatedRecords
from penstock.ports.version_records import VersionRecords
from penstock.ports.writes import NewAttempt, NewRun, StepEnd

__all__ = [
    "ArtifactStore",
    "Courier",
    "DataReader",
    "Evaluator",
    "EventRecords",
    "GateRecords",
    "IsolatedModel",
    "JudgementRecords",
    "LedgerRecords",
    "Limits",
    "Measured",
    "MetadataStore",
    "ModelFormat",
    "ModelRecords",
    "NewAttempt",
    "NewRun",
    "PackagedModel",
    "Predictor",
    "ProbationRecords",
    "Progress",
    "RegistryRecords",
    "RetentionRecords",
    "RunRecords",
    "StepEnd",
    "StoredObject",
    "TrainingRows",
    "UngatedRecords",
    "VersionRecords",
]
