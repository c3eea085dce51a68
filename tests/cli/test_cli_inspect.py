"""`riemaug inspect` on what commands other than fit and augment leave."""

from pathlib import Path

from riemaug.evaluation.outcome import Evaluation
from riemaug.evaluation.verdict import Difference, Verdict

PYTHAE = Path(__file__).parents[1] / "fixtures" / "peers" / "pythae_rhvae"


def test_inspect_tells_an_evaluation(cli, tmp_path):
    gap = Difference(0.021, 0.004, 4.0, 0.01, 0.032, 40)
    verdict = Verdict("logistic", "both", "real", gap, num_seeds=5)
    settings = {"classifiers": ["logistic"]}
    Evaluation((), (verdict,), notes=("one note",), settings=settings).save(tmp_path)
    told = cli("inspect", tmp_path, "--json").document
    assert (told["kind"], told["classifiers"]) == ("evaluation", "logistic")
    assert told["verdicts"] == [verdict.words]
    spoken = cli("inspect", tmp_path).out
    assert "verdicts:\n  helps: +2.1 points" in spoken
    assert "copying" not in spoken  # nothing was found


def test_inspect_tells_a_damaged_evaluation(cli, tmp_path):
    (tmp_path / "evaluation.json").write_text('{"verdicts": [')
    refused = cli("inspect", tmp_path)
    assert refused.code == 2
    assert "must be whole" in refused.message


def test_inspect_tells_an_interpolation(cli, tmp_path):
    model, out = tmp_path / "model", tmp_path / "path"
    assert cli("import", f"a={PYTHAE}", model, "--as", "png").code == 0
    assert cli("interpolate", model, "a:0", "a:1", out, "--steps", 4).code == 0
    told = cli("inspect", out, "--json").document
    assert (told["kind"], told["class"], told["steps"]) == ("interpolation", "a", 4)
    assert told["length"]["geodesic"] <= told["length"]["straight line"] * (1 + 1e-6)
    assert "length: geodesic " in cli("inspect", out).out
