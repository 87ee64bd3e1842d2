"""`results.json`: the last figures of every benchmark, and what they were measured on."""

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent / "results.json"
PACKAGES = (
    *("numpy", "torch", "jax", "jaxlib", "scikit-learn", "scipy", "opencv-python-headless"),
    *("rich", "typer", "pandas", "polars"),
)


def keep(section: str, found: dict[str, Any]) -> None:
    """Writes one benchmark's figures, and leaves those of the others."""
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    kept[section] = {"machine": machine(), **found}
    FILE.write_text(json.dumps(rounded(kept), indent=1, ensure_ascii=False) + "\n")


def rounded(value: Any) -> Any:
    """Four figures are more than a shared machine can repeat."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": dict(filter(None, map(version, PACKAGES))),
    }


def version(package: str) -> tuple[str, str] | None:
    try:
        return package, metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    found = dict(line.split("\t: ", 1) for line in lines if "\t: " in line)
    model = found.get("model name\t", found.get("model name", platform.processor()))
    family = found.get("cpu family\t", found.get("cpu family", ""))
    return f"{model} (family {family})" if family else model
