"""A command that does all that a command must not do: to see that the judge notices."""

import os
import sys
import time
from pathlib import Path

from tests.soak.damage import MARKUP


def run() -> int:
    what, *_ = sys.argv[1:]
    out, given = Path("../out"), Path("../given")
    match what:
        case "done":
            print("1 2 3")
            (out / "result").write_text("x")
            return 0
        case "refused":
            print("nncli: given.csv: row 1: is not a number", file=sys.stderr)
            return 2
        case "crash":
            raise KeyError("units")
        case "end":
            os._exit(3)
        case "abort":
            os.abort()
        case "hang":
            time.sleep(60)
        case "compute":
            began = time.process_time()
            while time.process_time() - began < 1:
                pass
        case "memory":
            bytearray(b"x") * (300 << 20)
        case "escape":
            print("nncli: the name \x1b[31mred is not known", file=sys.stderr)
            return 2
        case "escape on output":
            print("column \x9b1m")
        case "silence":
            return 2
        case "words of a program":
            print("nncli: 'NoneType' object is not subscriptable", file=sys.stderr)
            return 2
        case "warning":
            print("x.py:3: RuntimeWarning: overflow", file=sys.stderr)
        case "a long message":
            print("nncli: a problem of many\n" * 500, file=sys.stderr, end="")
            return 2
        case "another status":
            print("nncli: it did not work", file=sys.stderr)
            return 1
        case "printed and refused":
            print("1 2 3")
            print("nncli: no, it is wrong", file=sys.stderr)
            return 2
        case "written and refused":
            (out / "result").write_text("x")
            print("nncli: no, it is wrong", file=sys.stderr)
            return 2
        case "written elsewhere":
            (given / "code-was-run").write_text("x")
        case "markup":
            (out / "page.html").write_text(f"<h1>{MARKUP}</h1>")
        case "given changed":
            (given / "data.csv").write_text("other")
    return 0
