"""The answers to an exercise: forms to fill in, the key, and the products behind a number."""

import csv
import io
from collections.abc import Sequence
from math import copysign
from typing import Any

import numpy as np

from nncli.core.jsons import to_json
from nncli.inspection.exercises.draws import DECIMALS
from nncli.inspection.exercises.sheet import Blank, Sheet
from nncli.inspection.exercises.working import LARGEST, Working
from nncli.render.pages.explain.words import n, product


def value_words(blank: Blank) -> str:
    return n(round(blank.value, DECIMALS), 12)


def working_words(working: Working) -> str:
    """A sum of products, with the function of it: `sigmoid(0.5)`."""
    terms = [[round(f, DECIMALS) for f in term] for term in working.terms]
    if working.function == LARGEST:
        return f"max({', '.join(n(f, 12) for (f,) in terms)})"
    text = _sum(terms)
    if working.function:
        text = f"{working.function}({text})"
    if working.divisor != 1:
        is_plain = bool(working.function) or len(terms) == 1
        text = f"{text if is_plain else f'({text})'} / {n(round(working.divisor, DECIMALS), 12)}"
    return text


def _sum(terms: list[list[float]]) -> str:
    """Products with + or − between them."""
    first, *rest = terms
    text = n(first[0], 12) if len(first) == 1 else product(*first, digits=12)
    for term in rest:
        if copysign(1, term[0]) < 0:  # −0 too
            text += f" − {product(-term[0], *term[1:], digits=12)}"
        else:
            text += f" + {product(*term, digits=12)}"
    return text


def form_csv(sheet: Sheet) -> str:
    """A table to be filled in, a blank a row."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("sheet", sheet.name, ""))
    writer.writerow(("student", "", ""))
    writer.writerow(("blank", "quantity", "answer"))
    for blank in sheet.blanks:
        writer.writerow((blank.number, blank.name, ""))
    return stream.getvalue()


def form_json(sheet: Sheet) -> str:
    """The same as JSON: each quantity under its name, null where an answer goes."""
    answers = {
        asked.name: np.full(asked.shown.shape, None, object).tolist() for asked in sheet.asked
    }
    return to_json({"sheet": sheet.name, "student": "", **answers}, indent=2) + "\n"


def key_record(sheet: Sheet) -> dict[str, Any]:
    """What a key holds of a sheet: its network, and every blank with its answer."""
    return {
        "schema": "nncli.exercise/1",
        "sheet": sheet.name,
        "topic": sheet.kind.topic,
        "level": sheet.kind.level,
        "seed": sheet.seed,
        "decimals": DECIMALS,
        "spec": sheet.spec,
        "blanks": [
            {
                "blank": blank.number,
                "quantity": blank.name,
                "answer": blank.value,
                "tolerance": blank.tolerance,
                "working": working_words(sheet.working(blank)),
            }
            for blank in sheet.blanks
        ],
    }


def key_json(sheets: Sequence[Sheet]) -> str:
    """The key of a class: all its sheets."""
    records = [key_record(sheet) for sheet in sheets]
    return to_json({"schema": "nncli.key/1", "sheets": records}, indent=1) + "\n"
