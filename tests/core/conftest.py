"""What the tests of the core share."""

from __future__ import annotations

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.core.measuring import Model, trained


@pytest.fixture(scope="session")
def logistic() -> Model:
    """A logistic regression on half of the breast-cancer rows."""
    return trained(make_pipeline(StandardScaler(), LogisticRegression()))
