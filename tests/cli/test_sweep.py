"""nncli sweep, as it is called from a shell."""

from pathlib import Path

from tests.conftest import CONFIGS, Run

XOR = CONFIGS / "xor.yaml"


def test_what_is_wrong_in_a_file_is_told_at_once(nncli: Run, tmp_path: Path) -> None:
    (tmp_path / "sw.yaml").write_text(
        f"spec: {XOR}\nvary: {{train.etta: [0.1, 1]}}\nseed_count: 2\n"
    )
    done = nncli("sweep", "sw.yaml")
    assert (done.status, done.out) == (2, "")
    assert "sw.yaml:3:1: seed_count: unknown key 'seed_count'; did you mean 'seeds'?" in done.err
    assert "sw.yaml:2:21: train.etta: unknown key 'etta'; did you mean 'eta'?" in done.err
