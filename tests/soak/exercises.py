"""A thousand sheets of exercises: each key proven, no two alike, right answers marked right."""

from nncli.app.exercise import exercise
from nncli.inspection.exercises.kinds import KINDS
from nncli.inspection.exercises.marking import mark
from tests.inspection.test_exercises import check_sheet
from tests.soak.report import Report


def report(sheets: int = 1000) -> Report:
    lost: list[str] = []
    networks = set[str]()
    each = -(-sheets // len(KINDS))
    for kind in KINDS:
        for seed in range(each):
            sheet = exercise(kind.topic, kind.level, seed)
            networks.add(str(sheet.spec["data"]) + str(sheet.spec["network"]))
            try:
                check_sheet(sheet)
            except AssertionError as error:
                lost.append(f"{sheet.name}: {error}")
            answers = {blank.number: f"{blank.value:.4f}" for blank in sheet.blanks}
            points = mark(sheet, "", answers).points
            if points != len(sheet.blanks):
                lost.append(f"{sheet.name}: {points} points for {len(sheet.blanks)} right answers")
    total = each * len(KINDS)
    if len(networks) < total:
        lost.append(f"{total - len(networks)} sheets are those of another seed")
    return Report(f"{total} sheets of exercises, each proven and marked", lost)
