"""`riemaug inspect` on what commands other than fit and augment leave."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from riemaug.data import ManifestRow, write_manifest
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


def test_inspect_says_in_words_how_many_are_copies(cli, tmp_path):
    flags = ("no", "near", "no", "")
    rows = [ManifestRow(f"a/{number}.png", "a", copy=flag) for number, flag in enumerate(flags)]
    write_manifest(tmp_path / "manifest.csv", rows)
    assert "copies: 2 no copies, 1 near copies, 1 not compared\n" in cli("inspect", tmp_path).out
    assert cli("inspect", tmp_path, "--json").document["copies"] == {"no": 2, "near": 1, "not compared": 1}


@pytest.mark.parametrize(
    ("kind", "told"),
    [("stack", "resolution: 4 x 2 pixels per cm, slices 0.5 cm apart"), ("volume", "voxel: 2 x 2.5 x 3 mm")],
)
def test_inspect_tells_how_large_voxels_are(cli, tmp_path, kind, told):
    for number in range(4):
        voxels = np.random.default_rng(number).integers(0, 255, (4, 5, 6)).astype(np.uint8)
        path = tmp_path / "ab"[number % 2] / f"{number}.{'tif' if kind == 'stack' else 'nii.gz'}"
        path.parent.mkdir(exist_ok=True)
        if kind == "volume":
            image = nibabel.Nifti1Image(voxels, np.diag([2, 2.5, 3, 1]))
            image.header.set_xyzt_units("mm")
            image.to_filename(path)
            continue
        first, *others = [Image.fromarray(page) for page in voxels]
        tags = {282: 4.0, 283: 2.0, 296: 3, 270: "ImageJ=1.53t\nspacing=0.5\n"}
        first.save(path, save_all=True, append_images=others, tiffinfo=tags)
    assert told + "\n" in cli("inspect", tmp_path).out
