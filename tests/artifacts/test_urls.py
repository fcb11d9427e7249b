"""Where bytes live, as people write it: what is understood, what is refused, and what is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.artifacts.urls import S3Location, S3Options, parse_artifact_location
from penstock.errors import InvalidValue


@pytest.mark.parametrize(
    ("given", "bucket", "prefix"),
    [
        ("s3://models", "models", ""),
        ("s3://models/", "models", ""),
        ("s3://my.models-2/team/on-time", "my.models-2", "team/on-time"),
        ("s3://models/équipe/a b/", "models", "équipe/a b"),
    ],
)
def test_a_bucket_and_a_prefix_are_understood(given: str, bucket: str, prefix: str) -> None:
    location = parse_artifact_location(given)
    assert location == S3Location(bucket, prefix)
    assert str(location) == given.rstrip("/")
    assert parse_artifact_location(str(location)) == location


@pytest.mark.parametrize("given", ["artifacts", "./artifacts", "../artifacts", "/srv/a b/artifacts", Path("x")])
def test_anything_without_a_scheme_is_a_folder(given: str | Path) -> None:
    assert parse_artifact_location(given) == Path(given)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "a\0b",
        "s3:models/x",
        "s3://",
        "s3://ab",
        "s3://Models",
        "s3://-models",
        "s3://models//x",
        "s3://models/../x",
        "s3://models/a/./x",
        "s3://models/a/..",
        "s3://models/a\\b",
        "s3://models/a\nb",
        "s3://models/a\u202eb",
        "s3://models/" + "x" * 901,
        "S3://models",
        "s3a://models",
        "gs://models",
        "file:///srv/artifacts",
        "https://models.s3.amazonaws.com/x",
    ],
)
def test_anything_else_is_refused(given: str) -> None:
    with pytest.raises(InvalidValue, match="s3://bucket/prefix"):
        parse_artifact_location(given)


@pytest.mark.parametrize(
    "given", ["s3://KEY:topsecret@models/x", "s3://models/x?X-Amz-Signature=topsecret", "s3://models#topsecret"]
)
def test_what_may_be_a_secret_is_not_shown(given: str) -> None:
    with pytest.raises(InvalidValue, match="s3://") as caught:
        parse_artifact_location(given)
    assert "topsecret" not in str(caught.value) + repr(vars(caught.value))


@pytest.mark.parametrize(
    "endpoint",
    ["http://KEY:topsecret@host", "ftp://topsecret", "topsecret:9000", "http://host?topsecret", "http://host:x", ""],
)
def test_an_endpoint_is_a_plain_url_and_is_not_shown_otherwise(endpoint: str) -> None:
    with pytest.raises(InvalidValue, match="S3 endpoint") as caught:
        S3Options(endpoint)
    assert "topsecret" not in str(caught.value) + repr(vars(caught.value))


def test_how_a_store_is_reached_comes_from_the_environment() -> None:
    assert S3Options.from_environment({}) == S3Options(None, None)
    ours = {"PENSTOCK_S3_ENDPOINT": "http://minio:9000", "AWS_ENDPOINT_URL": "http://other", "AWS_REGION": "eu-west-1"}
    assert S3Options.from_environment(ours) == S3Options("http://minio:9000", "eu-west-1")
    assert S3Options.from_environment({"AWS_ENDPOINT_URL_S3": "https://ceph"}).endpoint == "https://ceph"


def test_buckets_are_named_in_the_path_where_an_endpoint_is_given_unless_told_otherwise() -> None:
    assert S3Options().addressing_style == "auto"
    assert S3Options("http://minio:9000").addressing_style == "path"
    assert S3Options("http://minio:9000", addressing="virtual").addressing_style == "virtual"
    with pytest.raises(InvalidValue, match="auto, path or virtual"):
        S3Options(addressing="Path")
