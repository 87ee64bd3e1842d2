"""What `--on` names: a scheduler that runs, or a cluster that is started for the sweep."""

import logging
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from nncli.core.errors import NncliError, RunError
from nncli.core.text import nearest, printable, quote
from nncli.spec import read_mapping

TRIED = 10.0  # seconds for a scheduler to answer
KNOWN = "tcp://HOST:PORT, local, ssh://HOST1,HOST2 or a .yaml file of dask-jobqueue's settings"
LOGS = ("distributed", "tornado", "bokeh", "asyncssh", "dask_jobqueue", "asyncio")
EXTRA = "Dask is not installed: pip install 'nncli[dask]'"


class Cluster(NamedTuple):
    """A scheduler that is connected, and what ends it."""

    client: Any
    where: str
    notes: tuple[str, ...]
    close: Callable[[], None]


def open_cluster(on: str, jobs: int) -> Cluster:
    """Connects to what `on` names, and starts it where it is not there by itself.

    Args:
        jobs: workers of a cluster on this machine, or on each host.

    Raises:
        NncliError: it names nothing, or Dask is not installed. RunError: nobody answers there.
    """
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise NncliError(EXTRA) from None
    heard = _silence()
    try:
        return _opened(on, jobs, heard)
    except BaseException:
        heard()
        raise


def _silence() -> Callable[[], None]:
    """Silences Dask's log, pages of what a sweep tells by itself; what undoes that."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(LOGS)]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)

    def heard() -> None:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)

    return heard


def _opened(on: str, jobs: int, heard: Callable[[], None]) -> Cluster:
    import distributed

    if on.startswith(("tcp://", "tls://", "ucx://", "ws://", "wss://")):
        client = _connected(on)

        def leave() -> None:
            with suppress(Exception):  # a scheduler that is gone
                client.close()
            heard()

        return Cluster(client, on, (), leave)
    if on == "local":
        cluster = _started(distributed.LocalCluster, on, **_local(jobs))
    elif on.startswith("ssh://"):
        cluster = _over_ssh(on.removeprefix("ssh://"), jobs)
    elif on.endswith((".yaml", ".yml")):
        cluster = _queued(Path(on))
    else:
        raise NncliError(f"--on {printable(on)}: is no place to train; known are {KNOWN}")
    client = distributed.Client(cluster)

    def close() -> None:
        for end in (client.close, partial(cluster.close, timeout=5)):
            with suppress(Exception):  # jobs that were never begun, hosts that are gone
                end()
        heard()

    return Cluster(client, on, (f"dashboard: {cluster.dashboard_link}",), close)


def _local(jobs: int) -> dict[str, Any]:
    # Any free port: there may be another cluster on this machine.
    return {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}


def _connected(address: str) -> Any:
    from distributed import Client

    try:
        with warnings.catch_warnings(action="ignore"):  # of versions, which are compared here too
            return Client(address, timeout=TRIED)
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, OSError):
            raise RunError(
                f"{printable(address)}: no scheduler answers there; it was tried for {TRIED:g} "
                "seconds. dask scheduler starts one, and dask worker its workers"
            ) from error
        raise NncliError(f"--on {printable(address)}: is no address: {error}") from error


def _started(kind: Callable[..., Any], on: str, *arguments: Any, **settings: Any) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):
            return kind(*arguments, **settings)
    except Exception as error:  # whatever another program's start may come to
        text = " ".join(str(error).split()).removeprefix("Cluster failed to start: ")
        text = text or type(error).__name__
        raise RunError(f"--on {printable(on)}: the cluster does not start: {text}") from error


def _over_ssh(hosts: str, jobs: int) -> Any:
    from distributed import SSHCluster

    found = [_ssh_host(host) for host in hosts.split(",") if host]
    if not found:
        raise NncliError("--on ssh://: names no host; as in ssh://host1,host2")
    names, logins = zip(found[0], *found, strict=True)  # the first also runs the scheduler
    options = {"nthreads": 1, "n_workers": jobs}
    try:
        return _started(
            SSHCluster,
            f"ssh://{hosts}",
            list(names),
            connect_options=list(logins),
            worker_options=options,
        )
    except RunError as error:
        advice = f"`ssh HOST` is to need no password, and {sys.executable} to be there"
        raise RunError(f"{error}; {advice}") from error


_SSH_HOST = re.compile(
    r"(?:(?P<username>[^@]+)@)?(?:\[(?P<address>[^]]+)\]|(?P<host>[^:@]+))(?::(?P<port>\d{1,5}))?"
)


def _ssh_host(text: str) -> tuple[str, dict[str, Any]]:
    """A host, and how to log in there, as far as USER@HOST:PORT says that."""
    found = _SSH_HOST.fullmatch(text)
    if found is None:
        raise NncliError(
            f"--on ssh://{printable(text)}: is no host; as in ssh://host1,user@host2:2222"
        )
    login: dict[str, Any] = {}
    if found["username"]:
        login["username"] = found["username"]
    if found["port"]:
        login["port"] = int(found["port"])
    return found["address"] or found["host"], login


QUEUES = ("slurm", "pbs", "sge", "lsf", "oar", "htcondor", "moab", "local")
CLASSES = {
    **{name: f"{name.upper()}Cluster" for name in QUEUES},
    "htcondor": "HTCondorCluster",
    "moab": "MoabCluster",
}


def _queued(path: Path) -> Any:
    """The cluster of a file of settings: those of dask-jobqueue's class, and how many `jobs`.

    Raises:
        NncliError: the file is wrong, or dask-jobqueue is not there.
    """
    settings: Mapping[str, Any] = read_mapping(path)
    name = printable(path)
    wanted = dict(settings)
    queue, jobs = wanted.pop("type", "slurm"), wanted.pop("jobs", 1)
    if queue not in QUEUES:
        raise NncliError(f"{name}: type: {quote(queue)} is no queue{nearest(str(queue), QUEUES)}")
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise NncliError(f"{name}: jobs: expected a positive integer, got {quote(jobs)}")
    try:
        import dask_jobqueue
        from dask_jobqueue.local import LocalCluster as LocalJobs
    except ImportError:
        raise NncliError("dask-jobqueue is not installed: pip install 'nncli[dask]'") from None
    kind = LocalJobs if queue == "local" else getattr(dask_jobqueue, CLASSES[queue])
    command = (getattr(kind.job_cls, "submit_command", None) or "").partition(" ")[0]
    if command and shutil.which(command) is None:
        raise NncliError(f"{name}: {command} is not there; jobs of {queue} are sent by it")
    cluster = _started(kind, str(path), **{"processes": 1, **wanted})
    cluster.scale(jobs=jobs)
    return cluster
