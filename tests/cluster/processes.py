"""A Dask scheduler and its workers as processes on loopback, to be killed."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE = 60.0  # seconds for a worker to be there


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Cluster:
    """A context manager; its processes end with it."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.folder, self.size = folder, workers
        self.port = free_port()
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self._all: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        where = ("--host", "127.0.0.1", "--port", str(self.port))
        self.scheduler = self._start("scheduler", *where, "--no-dashboard")

    def start_worker(self, more: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """more: of its environment."""
        place = ("--local-directory", str(self.folder))
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", *place)
        self.workers.append(self._start("worker", self.address, *options, more=more))
        return self.workers[-1]

    def _start(
        self, *arguments: str, more: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **(more or {})},
            )
        self._all.append(process)
        return process

    def wait(self, workers: int | None = None) -> None:
        """Waits until so many workers are there; None: all."""
        from distributed import Client

        with Client(self.address, timeout=PATIENCE) as client:
            client.wait_for_workers(self.size if workers is None else workers, timeout=PATIENCE)

    def __enter__(self) -> "Cluster":
        self.start_scheduler()
        for _ in range(self.size):
            self.start_worker()
        self.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._all:
            process.kill()
            process.wait()


def bits(record: Any) -> dict[str, bytes]:
    """What was trained: the checkpoint of each trial, by its name."""
    return {t.id: (t.folder / "checkpoint.safetensors").read_bytes() for t in record.trials}


def until(what: Any, seconds: float = PATIENCE) -> None:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
