"""The reference has all that the program prints."""

import re
import tomllib

from docs.extension.reference import EXAMPLES
from tests.pages import ROOT

NEVER_PRINTED = {"nncli.key/1"}  # a file of an exercise's folder, for `grade`


def test_every_json_document_has_an_example() -> None:
    sources = (path.read_text() for path in (ROOT / "nncli/render").glob("**/*.py"))
    written = {name for text in sources for name in re.findall(r'"(nncli\.[a-z-]+/\d+)"', text)}
    examples = set(tomllib.loads(EXAMPLES.read_text(encoding="utf-8")))
    assert written - NEVER_PRINTED == examples
