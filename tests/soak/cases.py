"""A case: files of which one is damaged, and a command that is given them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from nncli.core import safetensors_format
from tests.soak import damage, whole

GIVEN, WORK, OUT = "given", "work", "out"
# A spec may ask for any number of epochs; a damaged one is not waited for.
ONE_EPOCH = ["--set", "train.epochs=1"]

# What each subject is given to: a new command is one more line here. The words {source} and {out}
# stand for the subject and for the only folder that may be written to.
SPEC_COMMANDS = [
    ["train", "{source}", "--out", "{out}/run", *ONE_EPOCH],
    ["train", "{source}", "--out", "{out}/run", *ONE_EPOCH, "--format", "json"],
    ["train", "{source}", "--out", "{out}/run", *ONE_EPOCH, "--full"],
    ["inspect-grad", "{source}", "--check", "20"],
    ["inspect-grad", "{source}", "--check", "off", "--batch", "--format", "json"],
    ["explain", "{source}"],
    ["explain", "{source}", "--wrong", "updated_weights", "--output", "{out}/explain.html"],
    ["diagnose", "{source}", *ONE_EPOCH],
    ["diagnose", "{source}", "--quick", "--format", "json"],
    ["summary", "{source}"],
    ["show", "{source}"],
    ["show", "{source}", "--format", "json"],
    ["inspect-grad", "{source}", "--check", "off", "--output", "{out}/step.html"],
    ["inspect-grad", "{source}", "--check", "off", "--output", "{out}/step.svg"],
    ["inspect-grad", "{source}", "--check", "off", "--output", "{out}/step.md"],
    ["inspect-grad", "{source}", "--check", "off", "--output", "{out}/step.tex"],
]
RUN_COMMANDS = [
    ["inspect-grad", "{source}", "--check", "20"],
    ["inspect-grad", "{source}", "--check", "off", "--brief"],
    ["inspect-grad", "{source}", "--check", "off", "--format", "json"],
    ["explain", "{source}", "--format", "json"],
    ["train", "{source}/spec.yaml", "--out", "{out}/run", *ONE_EPOCH],
    ["train", "--resume", "{source}", "--epochs", "3"],
    ["train", "--resume", "{source}", "--epochs", "4", "--format", "json"],
    ["train", "{given}/start.yaml", "--out", "{out}/run", *ONE_EPOCH, "--init-from", "{source}"],
    ["diagnose", "{source}", "--quick"],
    ["evaluate", "{source}"],
    ["predict", "{source}", "{given}/x.csv"],
    ["summary", "{source}", "--format", "json"],
    ["show", "{source}"],
    ["compare", "{source}", "{run}"],
    ["compare", "{run}", "{source}", "--format", "json"],
    ["export", "{source}", "--to", "pytorch", "--output", "{out}/net.py"],
    ["export", "{source}", "--to", "safetensors", "--output", "{out}/net.safetensors"],
    ["export", "{source}", "--to", "npz", "--output", "{out}/net.npz", "--format", "json"],
]
SAMPLES_COMMANDS = [
    ["predict", "{run}", "{source}"],
    ["predict", "{run}", "{source}", "--format", "jsonl"],
    ["predict", "{run}", "{source}", "--output", "{out}/p.npy"],
    ["predict", "{run}", "-"],
    ["evaluate", "{run}", "--data", "{source}", "--targets", "{given}/y.npy"],
    ["evaluate", "{run}", "--data", "{source}"],
    ["init", "--quick", "--data", "{source}", "--stdout"],
    ["init", "--quick", "--data", "{source}", "--targets", "{given}/y.npy", "--stdout"],
]
MATRIX_COMMANDS = [
    ["conv", "{source}", "{filter}"],
    ["conv", "{source}", "{filter}", "--format", "json", "--steps", "3"],
    ["conv", "{source}", "{filter}", "--padding", "same", "--padding-mode", "reflect", "--full"],
    ["conv", "{source}", "{filter}", "--output", "{out}/result.npy", "--compare"],
    ["conv", "{source}", "{filter}", "--output", "{out}/result.png", "--allow-nan"],
    ["conv", "-", "{filter}"],
]
MINE_COMMANDS = [
    ["check", "{given}/net.yaml", "{source}"],
    ["check", "{given}/net.yaml", "{source}", "--batch", "--format", "json"],
    ["check", "{given}/net.yaml", "{source}", "--name", "db1=-"],
]
# What a command needs beside its subject.
NEEDED = {
    "conv": [],
    "train": ["--out", "{out}/run", *ONE_EPOCH],
    "inspect-grad": ["--check", "9"],
    "explain": [],
    "exercise": ["--topic", "update"],
    "grade": ["{given}/x.csv"],
    "check": ["{given}/x.csv"],
    "recorder": [],
    "replay": [],
    "diff": ["{given}/x.csv"],
    "diagnose": [*ONE_EPOCH],
    "export": ["--to", "npz", "--output", "{out}/net.npz"],
    "evaluate": [],
    "predict": ["{given}/x.csv"],
    "summary": [],
    "show": [],
    "compare": ["{run}"],
    "sweep": ["--out", "{out}/sweep", "--vary", "train.epochs=1", "--jobs", "1"],
    "init": ["--stdout"],
}
# Options that a command may be given besides; a damaged word goes in the place of each value.
OPTIONS = {
    "conv": {
        "--padding": ["valid", "same", "full", "2"],
        "--padding-mode": ["zeros", "reflect", "replicate", "circular", "symmetric"],
        "--stride": ["1", "2", "1,2"],
        "--dilation": ["1", "2,1"],
        "--at": ["0,0", "1,2"],
        "--steps": ["1", "all"],
        "--rows": ["0:2", "1"],
        "--columns": ["0:2", "1"],
        "--upstream": ["ones"],
        "--output": ["{out}/o.csv", "{out}/o.png", "{out}/o.npy"],
        "--overwrite": [],
        "--format": ["json"],
        "--flip": [],
        "--compare": [],
        "--full": [],
        "--allow-nan": [],
    },
    "train": {
        "--set": [
            *("train.eta=0.1", "network[0].units=4", "data.scale=standard", "dtype=float64"),
            *("expect=[healthy, cost < 9]", "break=any.saturated > 0.5", "expect=cost <"),
        ],
        "--junit": ["{out}/report.xml"],
        "--tables": ["none", "last", "every"],
        "--every": ["1"],
        "--from": ["nncli", "pytorch"],
        "--epochs": ["2"],
        "--resume": ["{given}/run"],
        "--checkpoint-every": ["0.1"],
        "--threads": ["1"],
        "--trace": ["every=3", "steps=1,2", "last=2"],
        "--init-from": ["{given}/none.npz"],
        "--format": ["json"],
        "--full": [],
    },
    "evaluate": {
        "--data": ["{given}/x.csv"],
        "--targets": ["{given}/y.npy"],
        "--worst": ["3"],
        "--format": ["json"],
    },
    "predict": {
        "--output": ["{out}/p.csv", "{out}/p.jsonl"],
        "--format": ["jsonl", "csv", "npy"],
        "--overwrite": [],
    },
    "grade": {"--format": ["csv", "json", "markdown"], "--output": ["{out}/grades.csv"]},
    "exercise": {
        "--topic": ["dense", "softmax", "kronecker"],
        "--level": ["1", "5"],
        "--seed": ["7"],
        "--count": ["2"],
        "--out": ["{out}/sheets"],
        "--format": ["markdown", "latex", "html", "json"],
        "--solution": [],
        "--output": ["{out}/sheet.html", "{out}/sheet.md"],
        "--overwrite": [],
    },
    "check": {
        "--name": ["dW1=dense1.weight_gradient", "db1=-"],
        "--samples": ["0", "0,1"],
        "--batch": [],
        "--step": ["1", "2"],
        "--set": ["train.eta=0.1", "dtype=float64"],
        "--format": ["json"],
    },
    "sweep": {
        "--set": ["train.eta=0.1", "dtype=float64"],
        "--vary": ["train.eta=0.1,1", "network[0].units={uniform: [2, 4], samples: 2}"],
        "--seeds": ["1", "2"],
        "--format": ["json", "csv"],
        "--fail-fast": [],
        "--dry-run": [],
    },
    "replay": {"--format": ["json"]},
    "diff": {"--format": ["json"], "--name": ["dW1=dense1.weight_gradient", "db1=-"]},
    "recorder": {"--output": ["{out}/r.py"], "--overwrite": []},
    "diagnose": {"--set": ["train.eta=0.1"], "--quick": [], "--format": ["json"]},
    "summary": {"--set": ["network[0].units=4", "dtype=float64"], "--format": ["json"]},
    "show": {
        "--set": ["network[0].units=4", "dtype=float64"],
        "--format": ["json", "yaml"],
        "--quantities": [],
    },
    "compare": {"--format": ["json"]},
    "init": {
        "--quick": [],
        "--data": ["{given}/x.csv"],
        "--target": ["0"],
        "--starter": ["xor"],
        "--list": [],
    },
    "export": {
        "--to": ["pytorch", "safetensors", "npz"],
        "--output": ["{out}/n.py", "{out}/n.npz", "{out}/n.safetensors"],
        "--format": ["json"],
        "--overwrite": [],
        "--train": [],
    },
    "explain": {
        "--set": ["train.eta=0.1", "network[0].units=4", "data.scale=standard", "dtype=float64"],
        "--sample": ["0", "0,1"],
        "--step": ["1", "2"],
        "--layer": ["dense1", "conv1"],
        "--wrong": ["sigma_prime_of_a", "updated_weights", "sum_for_mean"],
        "--convention": ["columns", "torch"],
        "--format": ["json", "markdown", "latex"],
        "--output": ["{out}/o.html", "{out}/o.npz", "{out}/o.tex"],
        "--overwrite": [],
        "--ask": [],
    },
    "inspect-grad": {
        "--set": ["train.eta=0.1", "network[0].units=4", "data.scale=standard", "dtype=float64"],
        "--samples": ["0", "0,1"],
        "--view": ["matrix", "hadamard", "kronecker", "index"],
        "--section": ["backward", "proof"],
        "--brief": [],
        "--convention": ["columns", "nielsen", "cs231n", "torch"],
        "--layer": ["dense1", "conv1"],
        "--tap": ["0,0,0,0"],
        "--cell": ["0,0,0"],
        "--why": ["dense1[0,0]"],
        "--rows": ["0:2"],
        "--columns": ["1"],
        "--digits": ["3"],
        "--check": ["5", "off"],
        "--format": ["json", "markdown", "latex"],
        "--output": ["{out}/o.html", "{out}/o.npz", "{out}/o.svg", "{out}/o.tex"],
        "--overwrite": [],
        "--batch": [],
        "--full": [],
        "--h-sweep": [],
    },
}
WORDS = ["", " ", "0", "-1", "1e5", "9" * 5000, "1" * 19, "٣", "１", "½", "²", "1,2,3", "1,,2"]
WORDS += [":", "nan", "inf", "0x10", "1_0", "::", "5:1", "-0", "+1", "None", "1;2", "a=b", "[", "."]
WORDS += ["0,0,0,0", "data.train=/dev/zero", "name=../x", "network=[[[", "=", "data={", "{given}"]
WORDS += ["network[99999999999].units=1", "train.eta=" + "9" * 5000, "network[0].units=&a [*a]"]
WORDS += ["{given}/none", "x.csv/"]
WORDS += damage.TRAPS
FILTERS = ["1 0 1; 0 1 0; 1 0 1", "1,0;0,-1", "sobel-x", "1/9 1/9; 0 1"]
NO_FILTERS = ["9" * 5000 + " 1", "1/0", "1 2;3", ";;", "1e400 1", "1/1e-320", "0;" * 5000]


class Case(NamedTuple):
    """What a command was given, and what it may not do.

    Attributes:
        kind: what was damaged.
        damage: how.
        argv: the command.
        stdin: the file for standard input.
        is_refused: whether it must be refused.
        is_about_words: whether the command line itself was damaged, not a file.
    """

    kind: str
    damage: str
    argv: list[str]
    stdin: Path | None = None
    is_refused: bool = False
    is_about_words: bool = False


class Tried(NamedTuple):
    """What was damaged, under what name it goes on the command line, and how."""

    kind: str
    source: str
    how: str
    is_refused: bool


def write(folder: Path, files: whole.Files) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def is_short(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 100_000


def break_file(path: Path, random: Random) -> tuple[str, bool]:
    """Damages a file; says how, and whether what is left must be refused."""
    if random.random() < 0.1:
        replace = random.choice(damage.PLACES)
        replace(path, random)
        return replace.__name__, False
    content = path.read_bytes()
    if path.name.endswith(".gz") and random.random() < 0.5:
        path.write_bytes(damage.damage_inside(content, random, path.name))
        return "damage inside", False
    chosen = random.choice(damage.damages_of(path.name))
    path.write_bytes(chosen.change(content, random))
    more = ""
    if random.random() < 0.2:  # and what was damaged once may be damaged again
        second = random.choice(damage.ANY)
        path.write_bytes(second.change(path.read_bytes(), random))
        more = f", {second.name}"
    return f"{chosen.name}{more}", chosen.refused and not more


# Subjects


def damaged_spec(given: Path, random: Random, run: Path) -> Tried:
    _, files, train = whole.data(random)
    values = whole.spec(random, train)
    write(given, files)
    source = given / random.choice(["net.yaml", "net.yaml", "a\x1b[31mb.yaml", "[bold]x.yaml"])
    if random.random() < 0.5:
        for _ in range(random.choice([1, 1, 2])):
            damage.change_spec(values, random)
        how, refused = "values", False
        source.write_text(whole.spec_text(random, values), "utf-8", "replace")
    else:
        source.write_text(whole.spec_text(random, values))
        how, refused = break_file(source, random)
    if is_short(source):
        text = source.read_bytes().decode("utf-8", "replace")
        if damage.asks_for_much(text):
            source.write_text("data: 1")
            how, refused = "sizes taken back", True
    return Tried("spec", str(source), how, refused)


def damaged_data(given: Path, random: Random, run: Path) -> Tried:
    """A whole spec whose data are damaged."""
    kind, files, train = whole.data(random)
    while not files:
        kind, files, train = whole.data(random)
    values = whole.spec(random, train)
    write(given, files)
    (given / "net.yaml").write_text(whole.spec_text(random, values))
    how, refused = break_file(given / random.choice(list(files)), random)
    return Tried(kind, str(given / "net.yaml"), how, refused)


def damaged_headings(given: Path, random: Random, run: Path) -> Tried:
    """A table whose names and labels want to be more than text."""
    odd = [random.choice(damage.TRAPS) for _ in range(3)]
    cells = ['"' + word.replace('"', '""') + '"' for word in odd]
    rows = [f"{cells[0]},b,{cells[1]}", "1,2,red", f"3,4,{cells[2]}", "5,6,red", f"7,8,{cells[2]}"]
    (given / "train.csv").write_text("\n".join(rows) + "\n")
    values = whole.spec(random, "train.csv")
    values["data"] = {"train": "train.csv", "target": random.choice([odd[1], odd[0], -1, 1])}
    values["network"] = [{"type": "dense", "units": 2}]
    values["name"] = random.choice(["tiny", damage.MARKUP, random.choice(damage.TRAPS)])
    if random.random() < 0.5:
        values["data"]["classes"] = ["red", random.choice([odd[2], "blue"])]
    (given / "net.yaml").write_text(whole.spec_text(random, values))
    return Tried("headings", str(given / "net.yaml"), "traps", False)


def damaged_samples(given: Path, random: Random, run: Path) -> Tried:
    """Samples for a whole run, or for a spec that is yet to be."""
    kind, files, _ = whole.data(random)
    while not files:
        kind, files, _ = whole.data(random)
    write(given, files | {"y.npy": whole.npy(whole.labels())})
    name = next(iter(files))
    how, refused = break_file(given / name, random)
    return Tried(f"samples {kind}", str(given / name), how, refused)


def damaged_weights(given: Path, random: Random, run: Path) -> Tried:
    """A spec that takes weights or biases from a file that is damaged."""
    key = random.choice(["weights", "weights", "bias", "init_from"])
    numbers = whole.inputs((4, 3) if key != "bias" else (1, 3))
    name = random.choice(["w.npy", "w.csv", "w.idx", "w.tsv", "w.npz", "w.safetensors"])
    if key == "init_from":
        name = random.choice(["w.npz", "w.safetensors"])
    named = {"dense1.weight": whole.inputs((4, 3)), "dense1.bias": whole.inputs((3,))}
    made = {
        "w.npz": whole.npz(named, compressed=random.random() < 0.5),
        "w.safetensors": safetensors_format.pack(named, {"format": "np"}),
        "w.npy": whole.npy(numbers),
        "w.csv": whole.text_of(numbers, ","),
        "w.tsv": whole.text_of(numbers, "\t"),
        "w.idx": whole.idx(numbers),
    }
    write(given, {name: made[name]})
    values = whole.spec(random, {"inputs": whole.inputs().tolist(), "targets": "y.npy"})
    values["data"].pop("shape", None)
    values["network"] = [{"type": "dense", "units": 3}]
    (values["train"] if key == "init_from" else values["network"][0])[key] = name
    write(given, {"y.npy": whole.npy(whole.labels())})
    (given / "net.yaml").write_text(whole.spec_text(random, values))
    how, refused = break_file(given / name, random)
    return Tried(f"{key} file", str(given / "net.yaml"), how, refused)


def damaged_run(given: Path, random: Random, run: Path) -> Tried:
    shutil.copytree(run, given / "run")
    shutil.copy(run.parent / "net.yaml", given / "start.yaml")
    shutil.copy(run.parent / "y.npy", given)
    write(given, {"x.csv": whole.text_of(whole.inputs(), ",")})
    names = sorted(path.name for path in run.iterdir() if path.is_file())
    name = random.choice([*names, *(n for n in names if n.endswith(".safetensors"))])
    path = given / "run" / name
    if name == "spec.yaml" and random.random() < 0.5:
        old = path.read_text()
        elsewhere = random.choice(["/dev/zero", "/etc/passwd", "/proc/self/environ", "../../x.csv"])
        lines = [
            f"{line.partition(':')[0]}: {elsewhere}" if random.random() < 0.3 else line
            for line in old.splitlines()
        ]
        path.write_text("\n".join(lines) + "\n")
        return Tried("run spec.yaml", str(given / "run"), "paths elsewhere", False)
    how, refused = break_file(path, random)
    if name == "spec.yaml" and is_short(path):
        text = path.read_bytes().decode("utf-8", "replace")
        if damage.asks_for_much(text):
            path.write_text("data: 1")
            how, refused = "sizes taken back", True
    # Not every command reads every file of a run.
    return Tried(f"run {name}", str(given / "run"), how, refused and name == "spec.yaml")


def damaged_matrix(given: Path, random: Random, run: Path) -> Tried:
    suffix, content = whole.matrix(random, whole.MATRIX)
    path = given / f"{random.choice(['matrix', 'a [bold]', '-'])}.{suffix}"
    path.write_bytes(content)
    how, refused = break_file(path, random)
    return Tried(f"matrix {suffix}", str(path), how, refused)


def damaged_filter(given: Path, random: Random, run: Path) -> Tried:
    suffix, content = whole.matrix(random, whole.FILTER)
    (given / "matrix.csv").write_bytes(whole.text_of(whole.MATRIX, ","))
    path = given / f"filter.{suffix}"
    path.write_bytes(content)
    how, refused = break_file(path, random)
    return Tried(f"filter {suffix}", str(path), how, refused)


def damaged_mine(given: Path, random: Random, run: Path) -> Tried:
    """A whole spec, and a file of somebody's own numbers that is damaged."""
    values = whole.spec(random, {"inputs": whole.inputs().tolist(), "targets": "y.npy"})
    values["data"].pop("shape", None)
    values["network"] = [{"type": "dense", "units": 3}]
    write(given, {"y.npy": whole.npy(whole.labels())})
    (given / "net.yaml").write_text(whole.spec_text(random, values))
    mine = {"dW1": whole.inputs((4, 3)), "db1": whole.inputs((3,)), "delta1": whole.inputs((1, 3))}
    made = {
        "mine.npz": whole.npz(mine, compressed=random.random() < 0.5),
        "mine.safetensors": safetensors_format.pack(mine, {"format": "np"}),
        "mine.json": json.dumps({key: array.tolist() for key, array in mine.items()}).encode(),
        "dW1.csv": whole.text_of(mine["dW1"], ","),
        "dW1.npy": whole.npy(mine["dW1"]),
    }
    name = random.choice(list(made))
    write(given, {name: made[name]})
    how, refused = break_file(given / name, random)
    return Tried(f"mine {name}", str(given / name), how, refused)


Subject = Callable[[Path, Random, Path], Tried]
SUBJECTS: list[tuple[Subject, list[list[str]]]] = [
    (damaged_spec, SPEC_COMMANDS),
    (damaged_data, SPEC_COMMANDS),
    (damaged_data, SPEC_COMMANDS),
    (damaged_headings, SPEC_COMMANDS),
    (damaged_weights, SPEC_COMMANDS),
    (damaged_samples, SAMPLES_COMMANDS),
    (damaged_run, RUN_COMMANDS),
    (damaged_run, RUN_COMMANDS),
    (damaged_mine, MINE_COMMANDS),
    (damaged_matrix, MATRIX_COMMANDS),
    (damaged_filter, [["conv", "{given}/matrix.csv", "{source}"]]),
]


def make_case(folder: Path, random: Random, run: Path) -> Case:
    """Writes a case into `folder`: what is given, and where to stand and to write.

    run: a whole run folder to damage a copy of.
    """
    given, work = folder / GIVEN, folder / WORK
    given.mkdir()
    work.mkdir()
    (folder / OUT).mkdir()
    if random.random() < 0.12:
        return damaged_words(folder, random, run)
    subject, commands = random.choice(SUBJECTS)
    tried = subject(given, random, run)
    command = random.choice(commands)
    words = {"{source}": tried.source, "{filter}": random.choice(FILTERS), "{run}": str(run)}
    argv = [filled(word, folder, words) for word in command]
    if random.random() < 0.2:
        argv += [filled(word, folder, {}) for word in extra_option(command[0], random, harm=False)]
    stdin = Path(tried.source) if "-" in argv else None
    if stdin is not None and not stdin.is_file():  # there is nothing to be sent
        stdin = None
    # A run's weights are read without its spec, and some look at the spec alone.
    reads = tried.kind == "spec" or argv[0] not in ("show", "summary")
    reads = reads and not {"--init-from", "--list"} & set(argv)
    through = (stdin is not None or "-" not in argv) and reads
    return Case(tried.kind, tried.how, argv, stdin, is_refused=tried.is_refused and through)


def damaged_words(folder: Path, random: Random, run: Path) -> Case:
    """Whole files, and a command line that makes no sense."""
    given = folder / GIVEN
    command = random.choice(list(OPTIONS))
    if command == "conv":
        (given / "matrix.csv").write_bytes(whole.text_of(whole.MATRIX, ","))
        filter = random.choice(
            [*FILTERS, *WORDS, "9" * 5000 + " 1", "1/0", "1 2;3", ";;", "1e400 1"]
        )
        argv = [command, str(given / "matrix.csv"), filter]
    else:
        _, files, train = whole.data(random)
        write(given, files | {"x.csv": whole.text_of(whole.inputs(), ",")})
        (given / "net.yaml").write_text(whole.spec_text(random, whole.spec(random, train)))
        source = random.choice([str(given / "net.yaml"), str(run), *WORDS])
        argv = [command, source]
        argv += NEEDED[command]
    for _ in range(random.choice([1, 1, 2, 3])):
        argv += extra_option(command, random, harm=random.random() < 0.8)
    argv = [filled(word, folder, {"{run}": str(run)}) for word in argv]
    return Case("command line", command, argv, is_about_words=True)


def extra_option(command: str, random: Random, *, harm: bool) -> list[str]:
    name = random.choice(list(OPTIONS[command]))
    known = OPTIONS[command][name]
    if not known:
        return [name]
    return [name, random.choice(WORDS if harm and name != "--output" else known)]


def filled(word: str, folder: Path, words: dict[str, str]) -> str:
    places = {"{out}": folder / OUT, "{given}": folder / GIVEN, **words}
    for name, value in places.items():
        word = word.replace(name, str(value))
    return word
