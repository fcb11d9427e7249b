"""Who acts in these tests."""

from tests.core.gates_on_record.stage import client, url, vera

__all__ = ["client", "url", "vera"]
