"""`--on ssh://` with an SSH server of the test's own, on loopback."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import nncli as api
from nncli.core.errors import NncliError, RunError
from tests.cluster.processes import bits, free_port, until
from tests.conftest import CONFIGS

pytest.importorskip("distributed", reason="Dask is not here: make cluster")
pytest.importorskip("asyncssh")

SSHD = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
pytestmark = [
    pytest.mark.skipif(SSHD is None, reason="no SSH server is here"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SPEC, SETS = CONFIGS / "xor.yaml", ["train.epochs=3"]
VARY = {"train.eta": [0.1, 0.5, 1.0]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A home folder whose key a server takes, and its port."""
    assert SSHD is not None
    home, port = tmp_path_factory.mktemp("ssh"), free_port()
    own = home / ".ssh"
    own.mkdir(0o700)
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(own / name)]
        subprocess.run(command, check=True)
    shutil.copy(own / "user.pub", own / "authorized")
    key = " ".join((own / "host.pub").read_text().split()[:2])
    hosts = [f"[{host}]:{port} {key}\n" for host in ("127.0.0.1", "localhost")]
    (own / "known").write_text("".join(hosts))
    # As a user has it: which key is whose is a matter of ~/.ssh/config.
    (own / "config").write_text(
        f"Host *\n  IdentityFile {own / 'user'}\n  UserKnownHostsFile {own / 'known'}\n"
    )
    (own / "server").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {own / 'host'}\n"
        f"AuthorizedKeysFile {own / 'authorized'}\nPidFile none\nStrictModes no\n"
        "UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    command = [SSHD, "-D", "-f", str(own / "server"), "-E", str(own / "log")]
    with subprocess.Popen(command) as process:
        try:
            time.sleep(0.2)
            until(lambda: process.poll() is not None or "listening" in _log(own), 20)
            if process.poll() is not None:
                pytest.skip(f"the SSH server does not start: {_log(own)}")
            yield home, port
        finally:
            process.terminate()


def _log(folder: Path) -> str:
    path = folder / "log"
    return path.read_text() if path.exists() else ""


def test_hosts_that_ssh_reaches_train_to_the_same_bits(
    server: tuple[Path, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, port = server
    monkeypatch.setenv("HOME", str(home))
    alone = bits(api.sweep(SPEC, SETS, vary=VARY, jobs=1, out=tmp_path / "alone"))
    on = f"ssh://127.0.0.1:{port},localhost:{port}"
    record = api.sweep(SPEC, SETS, vary=VARY, jobs=1, out=tmp_path / "there", on=on)
    assert [trial.state for trial in record.trials] == ["done"] * 3
    assert bits(record) == alone
    with pytest.raises(RunError, match=r"does not start: .*[Pp]ermission.*; `ssh HOST` is to need"):
        api.sweep(SPEC, SETS, vary=VARY, out=tmp_path / "no", on=f"ssh://nobody@127.0.0.1:{port}")


@pytest.mark.parametrize("hosts", ["", ",", "host:port", "a@b@c", "[::1"])
def test_what_is_no_host_is_told(hosts: str, tmp_path: Path) -> None:
    with pytest.raises(NncliError, match="no host"):
        api.sweep(SPEC, SETS, vary=VARY, out=tmp_path / "no", on=f"ssh://{hosts}")
