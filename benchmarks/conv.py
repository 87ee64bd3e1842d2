"""Times nncli's correlation of a matrix against SciPy's, PyTorch's and OpenCV's.

    python benchmarks/conv.py [--threads N] [--side N] [--sizes 3,7,...] [--rounds N] [--dtype ...]

Needs NumPy alone; a peer that is not installed is left out, and said so. All take turns in one
process, round after round, so that whatever else the machine does hits each of them, and the
median of the rounds counts. Filters are random, so that none is separable; only the computation
is timed, with an output allocated anew by each. Each is also compared with nncli's own sums tap by
tap. A peer that takes more than 3 s, or more memory than there is, is timed no further.

Then the matrix goes out as a CSV and in again, against NumPy's savetxt and loadtxt.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--sizes", default="3,7,15,31,63")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dtype", default="float64")
    return parser.parse_args()


OPTIONS = options()
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(OPTIONS.threads)  # read once, when NumPy and the peers are imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from nncli.data.readers.matrices import read_matrix, write_matrix  # noqa: E402
from nncli.filtering.correlate import correlate  # noqa: E402

TOO_LONG = 3.0
PAUSE = 0.1  # seconds before each run: the threads of PyTorch and OpenCV spin on after their work


def scipy_peers() -> Any:
    import scipy
    from scipy.signal import correlate2d, fftconvolve

    def direct(image: Any, filter: Any) -> Any:
        return lambda: correlate2d(image, filter, mode="valid")

    def by_fft(image: Any, filter: Any) -> Any:
        turned = filter[::-1, ::-1].copy()
        return lambda: fftconvolve(image, turned, mode="valid")

    return scipy.__version__, {"correlate2d": direct, "fftconvolve": by_fft}


def torch_peers() -> Any:
    import torch
    from torch.nn.functional import conv2d

    torch.set_num_threads(OPTIONS.threads)

    def direct(image: Any, filter: Any) -> Any:
        x, f = (torch.from_numpy(array)[None, None] for array in (image, filter))
        return lambda: conv2d(x, f)[0, 0].numpy()

    return torch.__version__, {"torch": direct}


def cv2_peers() -> Any:
    import cv2

    cv2.setNumThreads(OPTIONS.threads)

    def direct(image: Any, filter: Any) -> Any:
        k = len(filter)
        inside = slice(k // 2, k // 2 + len(image) - k + 1)
        return lambda: cv2.filter2D(image, -1, filter, borderType=cv2.BORDER_CONSTANT)[
            inside, inside
        ]

    return cv2.__version__, {"filter2D": direct}


def all_peers() -> Any:
    found: dict[str, Any] = {}
    versions = [f"Python {sys.version.split()[0]}", f"NumPy {np.__version__}"]
    for name, load in (("SciPy", scipy_peers), ("PyTorch", torch_peers), ("OpenCV", cv2_peers)):
        try:
            version, peers = load()
        except ImportError:
            versions.append(f"{name} is not installed")
        else:
            versions.append(f"{name} {version}")
            found |= peers
    print(", ".join(versions))
    return found


def timed(run: Any) -> Any:
    time.sleep(PAUSE)
    start = time.perf_counter()
    output = run()
    return time.perf_counter() - start, output


def warm_up(runs: dict[str, Any], expected: Any) -> Any:
    """Runs each once; returns those that are right and quick enough, and what to say of others."""
    quick: dict[str, Any] = {}
    said: dict[str, str] = {}
    tolerance = 1e-12 if OPTIONS.dtype == "float64" else 1e-5
    for name, run in runs.items():
        try:
            seconds, output = timed(run)
        except (RuntimeError, MemoryError):  # PyTorch raises the first where memory is short
            said[name] = "no memory"
            continue
        error = np.abs(output - expected).max() / np.abs(expected).max()
        if error > tolerance:
            said[name] = f"off by {error:.0e}"
        elif seconds > TOO_LONG:
            said[name] = f"> {TOO_LONG * 1e3:.0f}"
        else:
            quick[name] = run
    return quick, said


def measure(k: Any, peers: Any) -> Any:
    rng = np.random.default_rng(k)
    image = rng.standard_normal((OPTIONS.side, OPTIONS.side)).astype(OPTIONS.dtype)
    filter = rng.standard_normal((k, k)).astype(OPTIONS.dtype)
    runs: dict[str, Any] = {"nncli": lambda: correlate(image, filter, threads=OPTIONS.threads)}
    for name, peer in peers.items():
        if name != "correlate2d" or k <= 21:  # beyond, it takes seconds
            runs[name] = peer(image, filter)
    quick, said = warm_up(runs, correlate(image, filter, algorithm="direct"))
    times: dict[str, list[float]] = {name: [] for name in quick}
    for _ in range(OPTIONS.rounds):
        for name, run in quick.items():
            times[name].append(timed(run)[0])
    return {name: f"{1e3 * statistics.median(t):.1f}" for name, t in times.items()} | said


def in_turns(runs: dict[str, Any], rounds: Any) -> Any:
    """The median of each, and what it gave the last time."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    made: dict[str, Any] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds, made[name] = timed(run)
            times[name].append(seconds)
    return {name: statistics.median(t) for name, t in times.items()}, made


def text(folder: Path, rounds: Any) -> None:
    """Writing and reading a CSV: nncli writes the shortest digits that read back equal."""
    matrix = np.random.default_rng(0).standard_normal((OPTIONS.side, OPTIONS.side))
    ours, theirs = folder / "nncli.csv", folder / "numpy.csv"
    written, _ = in_turns(
        {
            "nncli": lambda: write_matrix(ours, matrix),
            "savetxt": lambda: np.savetxt(theirs, matrix, delimiter=","),
        },
        rounds,
    )
    print(", ".join(f"{name} {1e3 * t:.0f}" for name, t in written.items()), "ms to write a CSV")
    for path in (ours, theirs):
        read, made = in_turns(
            {
                "nncli": lambda path=path: read_matrix(path).array,
                "loadtxt": lambda path=path: np.loadtxt(path, delimiter=","),
            },
            rounds,
        )
        assert all(np.array_equal(array, matrix) for array in made.values())
        which = f"ms to read {path.stem}'s of {path.stat().st_size / 2**20:.0f} MiB"
        print(", ".join(f"{name} {1e3 * t:.0f}" for name, t in read.items()), which, flush=True)


def main() -> None:
    peers = all_peers()
    side, threads = OPTIONS.side, OPTIONS.threads
    print(f"{side} x {side} {OPTIONS.dtype}, {threads} thread(s), median of {OPTIONS.rounds}, ms")
    names = ("nncli", *peers)
    print("  ".join([f"{'filter':>8}", *(f"{name:>11}" for name in names)]))
    for k in map(int, OPTIONS.sizes.split(",")):
        got = measure(k, peers)
        row = [f"{k} x {k}".rjust(8), *(got.get(name, "-").rjust(11) for name in names)]
        print("  ".join(row), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        text(Path(folder), min(5, OPTIONS.rounds))


if __name__ == "__main__":
    main()
