"""What the tests of artifact stores share."""

from __future__ import annotations

import pytest

from tests.s3_servers import moto, rclone, rclone_https, s3_credentials, s3_server

__all__ = ["moto", "rclone", "rclone_https", "s3_credentials", "s3_server"]

# The contract's own asserts are explained like those of a test module.
pytest.register_assert_rewrite("tests.contracts.artifact_store")
