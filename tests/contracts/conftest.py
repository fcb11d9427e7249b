"""The contract's own asserts are explained like those of a test module."""

import pytest

pytest.register_assert_rewrite("tests.contracts.metadata_store")
pytest.register_assert_rewrite("tests.contracts.events")
pytest.register_assert_rewrite("tests.contracts.gates")
pytest.register_assert_rewrite("tests.contracts.registry")
pytest.register_assert_rewrite("tests.contracts.retention")
pytest.register_assert_rewrite("tests.contracts.attempts")
pytest.register_assert_rewrite("tests.contracts.changes")
