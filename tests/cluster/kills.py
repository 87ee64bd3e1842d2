"""`python -m tests.cluster.kills [N]`: a sweep whose workers are killed N times, at random moments.

A new worker takes the place of each. The end must be that of a sweep that was left alone, to the
bit; and of a trial that is gone on with, no more is taken again than its last checkpoint lacked.
"""

import random
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import nncli
from nncli.app.sweep_records import SweepRecord
from tests.cluster.processes import Cluster, bits
from tests.conftest import CONFIGS

LONGEST = 6.0  # seconds between two kills
SETS = ["train.epochs=400"]
VARY = {"train.eta": [0.3, 1.0, 3.0], "network[0].units": [10, 30]}


def sweep(folder: Path, on: str | None = None) -> SweepRecord:
    return nncli.sweep(CONFIGS / "digits-mlp.yaml", SETS, vary=VARY, seeds=4, out=folder, on=on)


def main(kills: int) -> int:
    rng = random.Random(0)
    with tempfile.TemporaryDirectory(prefix="nncli-kills-") as name:
        folder = Path(name)
        alone = bits(sweep(folder / "alone"))
        with Cluster(folder) as cluster:
            done, ended = list[float](), Event()

            def kill() -> None:
                began = time.monotonic()
                while len(done) < kills and not ended.wait(rng.uniform(0, LONGEST)):
                    victim = cluster.workers.pop(rng.randrange(len(cluster.workers)))
                    victim.kill()
                    victim.wait()
                    done.append(time.monotonic() - began)
                    cluster.start_worker()

            round = 0
            lost: list[str] = []
            while len(done) < kills:  # sweeps, one after the other, until that was done so often
                ended.clear()
                thread = Thread(target=kill)
                thread.start()
                record = sweep(folder / f"sweep-{round}", cluster.address)
                ended.set()
                thread.join()
                round += 1
                lost += [
                    f"{t.id}: {t.state}: {t.error}" for t in record.trials if t.state != "done"
                ]
                if not lost:
                    found = bits(record)
                    lost += [f"{id}: other bits" for id in alone if found.get(id) != alone[id]]
    print(f"{len(done)} kills of workers, in {round} sweeps of {len(alone)} trials")
    print(f"  lost: {len(lost) or 'nothing'}")
    for loss in lost:
        print(f"  {loss}")
    return min(len(lost), 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
