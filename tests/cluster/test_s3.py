"""`--store s3://`, with a server of the test's own on loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nncli as api
from nncli.app.sweeping import cluster as clusters
from nncli.app.sweeping.remote import Mark, Store, read_files
from nncli.core.errors import NncliError
from tests.cluster.processes import Cluster, bits
from tests.conftest import CONFIGS

pytest.importorskip("distributed", reason="Dask is not here: make cluster")
pytest.importorskip("s3fs")
servers = pytest.importorskip("moto.server")

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
SPEC, VARY = CONFIGS / "digits-mlp.yaml", {"train.eta": [0.3, 3.0]}


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    import fsspec

    server = servers.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        fsspec.filesystem("s3").mkdir("sweeps")
        yield "s3://sweeps/of/mine"
    server.stop()


def test_runs_are_kept_in_a_bucket(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "Mark", lambda path, content: Mark(path, "another"))
    alone = bits(api.sweep(SPEC, ["train.epochs=3"], vary=VARY, jobs=1, out=tmp_path / "alone"))

    def swept(name: str, store: str, address: str) -> Any:
        folder = tmp_path / name
        return api.sweep(SPEC, ["train.epochs=3"], vary=VARY, out=folder, on=address, store=store)

    with Cluster(tmp_path, workers=1) as cluster:
        record = swept("there", bucket, cluster.address)
        with pytest.raises(
            NncliError, match=r"worker tcp://.*: cannot write to the store s3://no-"
        ):
            swept("no", "s3://no-such-bucket/x", cluster.address)
    assert bits(record) == alone
    for trial in record.trials:
        assert Store(bucket, trial.id).read() == dict(read_files(trial.folder))
