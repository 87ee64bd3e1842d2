"""Times what processes of MPI exchange on this machine, and steps that they share.

    python benchmarks/exchange.py [--processes N] [--rounds N]

It wants nncli, mpi4py and mpich in its environment, and a core for each process at rest. A figure
is the one that a tenth of all are below, in the round that was least disturbed.

- The latency of a message (half of a ping-pong of 8 bytes) and the bandwidth (of 4 MiB): of MPI,
  which is shared memory here, and of a TCP connection on loopback, the way to another machine but
  for the wire.
- For some networks on the digits, a step in one process, and in several: the share of one, and the
  exchange of the gradients.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import results
from workloads import REPO

SMALL, LARGE = 8, 4 << 20  # bytes of a message
MLP, CONV = "configs/digits-mlp.yaml", "configs/digits-conv.yaml"
NETWORKS: dict[str, tuple[str, list[int]]] = {  # a spec, and hidden units in the place of its own
    "[64, 30, 10]": (MLP, [30]),
    "[64, 500, 10]": (MLP, [500]),
    "[64, 1000, 1000, 10]": (MLP, [1000, 1000]),
    "a conv network": (CONV, []),
}
SAMPLES = (32, 256)  # in a mini-batch
STEPS = 60


def low(seconds: list[float]) -> float:
    return float(np.percentile(seconds, 10))


def ping_pong(first: bool, send: Callable[[], object], take: Callable[[], object]) -> float:
    """Seconds of a message one way; `first`: whether this process sends first."""
    found = []
    for _ in range(100):
        start = perf_counter()
        for step in (send, take) if first else (take, send):
            step()
        found.append((perf_counter() - start) / 2)
    return low(found)


def of_mpi(world: Any) -> dict[str, float]:
    def seconds(size: int) -> float:
        message, other = np.zeros(size, np.uint8), 1 - world.rank
        return ping_pong(
            world.rank == 0,
            lambda: world.Send(message, other),
            lambda: world.Recv(message, other),
        )

    return {"latency": seconds(SMALL), "bandwidth": LARGE / seconds(LARGE)}


def of_tcp(world: Any) -> dict[str, float]:
    if world.rank == 0:
        with socket.create_server(("127.0.0.1", 0)) as server:
            world.send(server.getsockname(), 1)
            connection, _ = server.accept()
    else:
        connection = socket.create_connection(world.recv(source=0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def seconds(size: int) -> float:
        message, taken = bytes(size), bytearray(size)

        def take() -> None:
            rest = memoryview(taken)
            while rest:
                rest = rest[connection.recv_into(rest) :]

        return ping_pong(world.rank == 0, lambda: connection.sendall(message), take)

    with connection:
        return {"latency": seconds(SMALL), "bandwidth": LARGE / seconds(LARGE)}


def case(ranks: Any, spec: str, units: list[int], samples: int) -> dict[str, float]:
    from nncli.app.mpi_training import seconds_alone, seconds_together
    from nncli.app.pipeline import prepare
    from nncli.spec import load_spec

    sets = [f"train.batch_size={samples}", f"train.micro_batches={ranks.size}"]
    if units:
        layers = [f"{{type: dense, units: {count}}}" for count in [*units, 10]]
        sets.append(f"network=[{', '.join(layers)}]")
    prepared = prepare(load_spec(REPO / spec, sets))._replace(ranks=ranks)
    alone = low(seconds_alone(prepared, STEPS)) if ranks.rank == 0 else 0.0
    shares, totals = seconds_together(prepared, ranks, STEPS)
    return {
        "samples": samples,
        "gradient_bytes": prepared.network.parameters.nbytes,
        "alone": alone,
        "share": low(shares),
        "exchange": low(totals) - low(shares),
    }


def measure(path: Path) -> None:
    """What each process does; the first writes what was found."""
    from mpi4py import MPI

    from nncli.app.mpi import MpiRanks

    ranks: Any = MpiRanks(MPI)
    world = MPI.COMM_WORLD
    cases = [(name, how, n) for name, how in NETWORKS.items() for n in SAMPLES]
    found = {
        "shared memory": of_mpi(world) if world.rank < 2 else {},
        "TCP on loopback": of_tcp(world) if world.rank < 2 else {},
        "steps": {f"{name}, {n}": case(ranks, *how, n) for name, how, n in cases},
    }
    if ranks.rank == 0:
        path.write_text(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2, help="two or more")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        measure(options.measure)
        return
    mpirun = str(Path(sys.executable).with_name("mpirun"))
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            path, count = Path(folder) / "found.json", str(options.processes)
            command = [mpirun, "-n", count, sys.executable, __file__, "--measure", str(path)]
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            subprocess.run(command, env=environment, check=True)
            rounds.append(json.loads(path.read_text()))
    found = best(rounds)
    report(found)
    results.keep("exchange", {"processes": options.processes, **found})


def best(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Each figure of the round that was least disturbed."""
    found: dict[str, Any] = {}
    for link in ("shared memory", "TCP on loopback"):
        found[link] = {
            "latency": min(one[link]["latency"] for one in rounds),
            "bandwidth": max(one[link]["bandwidth"] for one in rounds),
        }
    found["steps"] = {}
    for name in rounds[0]["steps"]:
        each = [one["steps"][name] for one in rounds]
        found["steps"][name] = {key: min(step[key] for step in each) for key in each[0]}
    return found


def report(found: dict[str, Any]) -> None:
    for link in ("shared memory", "TCP on loopback"):
        latency, bandwidth = found[link]["latency"] * 1e6, found[link]["bandwidth"] / 1e9
        print(f"{link}: a message {latency:.1f} µs, {bandwidth:.2f} GB/s")
    for name, step in found["steps"].items():
        alone, share, exchange = (step[key] * 1e6 for key in ("alone", "share", "exchange"))
        print(
            f"{name}: one process {alone:.0f} µs; a share {share:.0f} + exchange "
            f"{exchange:.0f} µs ({step['gradient_bytes'] / 1e3:.0f} kB)"
        )


if __name__ == "__main__":
    main()
