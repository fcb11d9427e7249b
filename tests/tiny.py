"""A tiny real pipeline for tests: scikit-learn's breast-cancer data, a logistic regression, a held-out third."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from penstock.services.active_run import ActiveRun

EXPERIMENT = "tests/cancer/benign"
MODEL = "benign"
LABEL = "benign"
CHAMPION = f"models:/{MODEL}@champion"

POLICY: dict[str, Any] = {
    "name": "benign",
    "when_no_baseline": "pass",
    "rules": [
        {"at_least": {"metric": "roc_auc", "value": 0.9}},
        {"no_worse_than": {"baseline": "champion", "metric": "roc_auc", "margin": 0.01}},
    ],
}


def rows() -> pd.DataFrame:
    """All 569 rows, with `benign` as the label and one column `side` to slice by."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.frame.rename(columns={"target": LABEL})
    sliced: pd.DataFrame = frame.assign(side=["left" if i % 2 else "right" for i in range(len(frame))])
    return sliced


def held_out_file(folder: Path) -> str:
    """Write the held-out third as Parquet and return its path."""
    path = folder / "held_out.parquet"
    rows().iloc[::3].to_parquet(path)
    return str(path)


def train(run: ActiveRun, strength: float = 1.0) -> dict[str, Any]:
    """Train a logistic regression; a tiny `strength` makes a weak model."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = rows()
    data = data[data.index % 3 != 0]
    columns = ["mean radius", "mean texture", "mean smoothness"] if strength >= 1 else ["fractal dimension error"]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, random_state=0))
    model.fit(data[columns], data[LABEL])
    run.log_metrics({"train_rows": len(data)})
    run.log_input(data, role="train", label=LABEL, name="benign-train")
    return run.log_model(model, "model", input_example=data[columns].head(3)).ref
