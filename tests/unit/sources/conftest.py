"""Saved checkpoints, and a hub on this machine that serves folders."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hub_server import Fault, HubServer
from tiny import FAMILIES, make_model


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny checkpoint of each family, and a BERT in several files; not to be changed."""
    folder = tmp_path_factory.mktemp("saved")
    models = {family: make_model(folder / family, family) for family in FAMILIES}
    return models | {"sharded": make_model(folder / "sharded", "bert", max_shard_size="20KB")}


@pytest.fixture
def start_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., HubServer]]:
    """Start a hub that serves folders as they are then, and connect to it; arguments are those of `HubServer`."""
    with ExitStack() as hubs:

        def start(repositories: Mapping[tuple[str, str], Path], *faults: Fault, **more: Any) -> HubServer:
            hub = hubs.enter_context(HubServer(repositories, faults, **more))
            hub.connect(monkeypatch, tmp_path / "cache")
            return hub

        yield start
