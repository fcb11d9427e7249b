"""The contract's own asserts are explained like those of a test module."""

import pytest

pytest.register_assert_rewrite("tests.contracts.metadata_store")
