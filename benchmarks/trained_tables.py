"""Trains what `nncli init` makes of tables that ship inside packages, beside scikit-learn.

    python benchmarks/trained_tables.py [--folder .tables] [--only NAME ...] [--again] [--seeds N]

For each table and seed a quarter of the rows is set aside (of each class, where there are classes).
`nncli init --data`, `nncli train` and `nncli evaluate --data` are run as they stand: nncli is given
the other rows, holds back what its spec says, and never sees that quarter before it is judged by
it, once. scikit-learn's MLPClassifier or MLPRegressor and Ridge or LogisticRegression, with their
defaults behind a StandardScaler (medians for gaps, one-hot words), are fitted to all of the other
rows, without the columns that init leaves out, and judged by the same quarter.

Where init takes another column than the table's documentation names as its target, that is counted,
and `--target` given. Every run is kept in the folder, and one that is there is not made again:
an interrupted comparison goes on, and --again makes nncli's own anew.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import results
from shipped_tables import TABLES, UNSEEN, Shipped, fetch
from workloads import REPO

import nncli.app.evaluate
import nncli.app.init
import nncli.app.train  # noqa: F401
from nncli.cli.app import run as run_command
from nncli.spec import Spec, load_spec

HELD_OUT = 0.25
WITHIN = 0.01  # of scikit-learn's network
WITHIN_OF_RIDGE = 0.05
SHARE, SHARE_OF_NUMBERS = 27 / 30, 12 / 15
Scores = dict[str, Any]


# A table in two parts


def is_headed(table: Shipped) -> bool:
    """Whether the first line names the columns; scikit-learn's and mlxtend's arrays have none."""
    return table.target is not None


def separator_of(lines: Sequence[str]) -> str:
    return next(mark for mark in (";", "\t", ",") if mark in lines[0])


def read_frame(path: Path, table: Shipped) -> Any:
    import pandas  # type: ignore[import-untyped]

    with path.open(encoding="utf-8-sig") as file:
        mark = separator_of([file.readline()])
    header = "infer" if is_headed(table) else None
    frame = pandas.read_csv(path, sep=mark, header=header, encoding="utf-8-sig")
    if is_headed(table):  # pandas names a column without a name by its place
        frame.columns = [str(c) for c in frame.columns]
    return frame


def target_of(table: Shipped, frame: Any) -> Any:
    return table.target if table.target is not None else frame.columns[-1]


def split(path: Path, table: Shipped, seed: int, folder: Path) -> tuple[Path, Path]:
    """The lines of a table, those set aside in a file of their own."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    head, rows = (lines[:1], lines[1:]) if is_headed(table) else ([], lines)
    rows = [row for row in rows if row.strip()]
    frame = read_frame(path, table)
    assert len(frame) == len(rows), f"{table.name}: a row of several lines"
    rng = np.random.default_rng(seed)
    # pandas 3 no longer writes an empty cell as a word.
    labels = np.array([str(label) for label in frame[target_of(table, frame)]])
    groups = (
        [np.flatnonzero(labels == label) for label in np.unique(labels)]
        if table.is_classes
        else [np.arange(len(rows))]
    )
    aside = {
        int(row) for group in groups for row in rng.permutation(group)[: int(HELD_OUT * len(group))]
    }
    parts = folder / "train.csv", folder / "test.csv"
    for part, is_test in zip(parts, (False, True), strict=True):
        own = [row for k, row in enumerate(rows) if (k in aside) == is_test]
        part.write_text("\n".join([*head, *own]) + "\n", encoding="utf-8")
    return parts


# nncli


def run(arguments: Sequence[str], folder: Path) -> str:
    """A command's standard output. Raises RuntimeError where its status is not 0.

    It is a process of its own, forked from this one, which has loaded nncli already: to load it a
    thousand times would take longer than all the trainings.
    """
    printed, told = folder / "stdout.txt", folder / "stderr.txt"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chdir(folder)
            for path, descriptor in ((printed, 1), (told, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            sys.argv = ["nncli", *arguments]
            status = run_command()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status != 0:
        said = told.read_text() or printed.read_text()
        raise RuntimeError(f"nncli {' '.join(arguments)}: {said}")
    return printed.read_text()


def target_in(spec: Spec) -> str | int | None:
    target = spec.data.target
    return target[0] if isinstance(target, tuple | list) and len(target) == 1 else target  # type: ignore[return-value]


def by_nncli(table: Shipped, seed: int, folder: Path) -> Scores:
    start = time.perf_counter()
    init = ["init", "net", "--data", "train.csv", "--overwrite"]
    run(init, folder)
    init_seconds = time.perf_counter() - start
    chosen = target_in(load_spec(folder / "net.yaml"))
    wanted: str | int = table.target if table.target is not None else -1
    if chosen != wanted:
        run([*init, "--target", str(wanted)], folder)
    start = time.perf_counter()
    run(["train", "net.yaml", "--set", f"seed={seed}", "--out", "run", "--overwrite"], folder)
    train_seconds = time.perf_counter() - start
    told = json.loads(run(["evaluate", "run", "--data", "test.csv", "--format", "json"], folder))
    spec = load_spec(folder / "net.yaml")
    score = told["accuracy"] if table.is_classes else told["outputs"][0]["r2"]
    if score is None:
        raise RuntimeError(f"{table.name}: taken for the other kind of target")
    return {
        "score": score,
        "target": chosen,
        "init_seconds": init_seconds,
        "train_seconds": train_seconds,
        "units": [layer.units for layer in spec.network if hasattr(layer, "units")],
        "epochs": spec.train.epochs,
        "weight_decay": spec.train.weight_decay,
        "best_epoch": told["weights"]["best_epoch"],
    }


# scikit-learn


def left_out(folder: Path) -> list[str | int]:
    return list(load_spec(folder / "net.yaml").data.ignore or ())


def by_sklearn(table: Shipped, seed: int, folder: Path) -> Scores:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    train, test = (read_frame(folder / part, table) for part in ("train.csv", "test.csv"))
    target = target_of(table, train)
    unwanted = [train.columns[key] if isinstance(key, int) else key for key in left_out(folder)]
    inputs = [c for c in train.columns if c != target and c not in unwanted]
    are_numbers = {c: train[c].dtype.kind in "iuf" for c in inputs}
    numbers = [c for c in inputs if are_numbers[c]]
    words = [c for c in inputs if not are_numbers[c]]

    def pipeline(model: Any) -> Any:
        prepare = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="missing"),
                    OneHotEncoder(handle_unknown="ignore"),
                ),
                words,
            ),
        )
        return make_pipeline(prepare, model)

    def parts(frame: Any) -> tuple[Any, Any]:
        known = frame[frame[target].notna()]
        x = known[inputs].copy()
        for column in words:
            x[column] = x[column].astype(object).where(x[column].notna(), None)
            x[column] = x[column].map(lambda word: word if word is None else str(word))
            x[column] = x[column].fillna("missing")
        y = known[target]
        return x, y.astype(str) if table.is_classes else y.astype(float)

    if table.is_classes:
        network, linear = MLPClassifier(random_state=seed), LogisticRegression()
    else:
        network, linear = MLPRegressor(random_state=seed), Ridge()
    (x, y), (x_test, y_test) = parts(train), parts(test)
    start = time.perf_counter()
    score = pipeline(network).fit(x, y).score(x_test, y_test)
    seconds = time.perf_counter() - start
    return {
        "score": float(score),
        "linear": float(pipeline(linear).fit(x, y).score(x_test, y_test)),
        "seconds": seconds,
        "held_out": len(x_test),
        "inputs": len(inputs),
        "rows": len(x) + len(x_test),
    }


# All of it


def kept(path: Path, make: Any, is_anew: bool = False) -> Scores:
    if path.exists() and not is_anew:
        found: Scores = json.loads(path.read_text())
        return found
    made: Scores = make()
    path.write_text(json.dumps(made))
    return made


def compared(table: Shipped, file: Path, seeds: int, folder: Path, again: bool) -> dict[str, Any]:
    own, theirs = [], []
    for seed in range(seeds):
        place = folder / "runs" / table.name / str(seed)
        place.mkdir(parents=True, exist_ok=True)
        if not (place / "test.csv").exists():
            split(file, table, seed, place)
        try:
            own.append(kept(place / "nncli.json", lambda: by_nncli(table, seed, place), again))  # noqa: B023
        except RuntimeError as error:
            own.append({"score": -np.inf, "error": str(error)})
            print(f"{table.name}, seed {seed}: {error}", file=sys.stderr)
            if not (place / "net.yaml").exists():
                continue
        theirs.append(kept(place / "sklearn.json", lambda: by_sklearn(table, seed, place)))  # noqa: B023

    def middle(runs: list[Scores], key: str) -> float:
        known = [each[key] for each in runs if key in each]
        return float(median(known)) if known else 0.0

    ours, network, linear = middle(own, "score"), middle(theirs, "score"), middle(theirs, "linear")
    wanted = table.target if table.target is not None else -1
    return {
        "is_classes": table.is_classes,
        "rows": theirs[0]["rows"],
        "inputs": theirs[0]["inputs"],
        "nncli": ours if np.isfinite(ours) else None,  # None: most runs ended with an error
        "mlp": network,
        "linear": linear,
        "seconds": middle(own, "init_seconds") + middle(own, "train_seconds"),
        "init_seconds": middle(own, "init_seconds"),
        "units": own[0].get("units"),
        "target": own[0].get("target"),
        "is_target": all(each.get("target") == wanted for each in own),
        "as_good": ours >= network - WITHIN,
        "as_good_as_linear": ours >= linear - WITHIN_OF_RIDGE,
    }


def line(name: str, found: dict[str, Any]) -> str:
    marks = "" if found["as_good"] else "  below the network"
    marks += "" if found["as_good_as_linear"] else "  below the linear model"
    marks += "" if found["is_target"] else f"  init took {found['target']}"
    sides = (found["nncli"], found["mlp"], found["linear"])
    scores = "".join(f"{'refused':>8}" if score is None else f"{score:8.3f}" for score in sides)
    shape = f"{found['rows']:>7,} x {found['inputs']:<4}"
    layers = "-".join(map(str, found["units"] or ()))
    return f"{name:18}{shape}{scores}{found['seconds']:8.1f} s  {layers:12}{marks}"


def holds(found: dict[str, dict[str, Any]]) -> bool:
    """Prints whether the limits hold."""
    numbers = [each for each in found.values() if not each["is_classes"]]
    as_good = sum(each["as_good"] for each in found.values())
    as_linear = sum(each["as_good_as_linear"] for each in numbers)
    targets = sum(each["is_target"] for each in found.values())
    print(f"at least scikit-learn's network - {WITHIN}: {as_good} of {len(found)}")
    print(f"numbers, at least Ridge - {WITHIN_OF_RIDGE}: {as_linear} of {len(numbers)}")
    print(f"the documented target taken by itself: {targets} of {len(found)}")
    does = as_good >= SHARE * len(found) and as_linear >= SHARE_OF_NUMBERS * len(numbers)
    print(f"limits (27 of 30, 12 of 15): {'hold' if does else 'do not hold'}")
    return bool(does)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=REPO / ".tables")
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--again", action="store_true", help="make nncli's runs anew")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    folder = options.folder.resolve()
    files = fetch(folder / "files")
    print(f"{'':18}{'rows x inputs':>14}{'nncli':>6}{'mlp':>8}{'linear':>8}")
    parts: dict[str, dict[str, Any]] = {}
    do_hold = True
    for part, tables in (("tables", TABLES), ("unseen", UNSEEN)):
        found = parts[part] = {}
        for table in tables:
            if not options.only or table.name in options.only:
                file = files[table.name]
                found[table.name] = compared(table, file, options.seeds, folder, options.again)
                print(line(table.name, found[table.name]), flush=True)
        if found:
            print("unseen, on which nothing was tuned:" if part == "unseen" else "all of these:")
            do_hold = holds(found) and do_hold
    if not options.only and options.seeds == 5:
        results.keep("trained tables", parts)
    sys.exit(not do_hold)


if __name__ == "__main__":
    main()
