"""The fixture `hub`: an empty local Hub for each test."""

from collections.abc import Iterator

import pytest

from tests.hub.server import Hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A local Hub without repositories, see `tests.hub.server.Hub`."""
    with Hub() as server:
        yield server
