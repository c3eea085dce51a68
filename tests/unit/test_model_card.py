"""MODEL_CARD.md: whole, true, the same each time, and inert whatever classes are called."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from markdown_it import MarkdownIt

from riemaug.class_model import TrainingRows, fit_model
from riemaug.config import GeneratorConfig
from riemaug.data import RangeScaler, SampleFormat
from riemaug.models import ModelConfig
from riemaug.serialization import CARD_NAME, FittedGenerators, save_generators
from riemaug.serialization.card import samplers_of
from riemaug.serialization.folder import UNKNOWN_DATA
from riemaug.training import History, TrainingConfig

HOSTILE = (
    "](http://evil.example) [x](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "a | b | `c` | **d**\n# e\n---\nlicense: mit",
    "&lt;b&gt; www.evil.example \u202e \x1b[31m",
)


def fitted(names: tuple[str, ...], kind: str = "rhvae") -> FittedGenerators:
    rows = [TrainingRows(name, torch.rand(5, 12), tuple("vwxyz")) for name in names]
    config = ModelConfig(
        data_dim=12,
        kind=kind,  # type: ignore[arg-type]
        encoder_hidden=(4,),
        decoder_hidden=(4,),
        metric_hidden=(4,),
        num_conditions=len(names),
        num_pseudo_inputs=3,
    )
    classes = fit_model(rows, config, TrainingConfig(max_epochs=2), seed=1)
    samples = (torch.rand(10, 3, 4) * 255).to(torch.uint8).numpy()
    return FittedGenerators(
        classes,
        GeneratorConfig(model=kind, preset="conditional"),  # type: ignore[arg-type]
        RangeScaler.fit(samples),
        SampleFormat("folder", (3, 4), "uint8", ".png", None, grey_as_rgb=False),
        None,
        (5,) * len(names),
        "ab12" * 16,
    )


@pytest.fixture(scope="module")
def generators() -> FittedGenerators:
    torch.manual_seed(0)
    return fitted(("cat", "dog"))


def card_of(folder: Path, generators: FittedGenerators) -> str:
    save_generators(folder, generators)
    return (folder / CARD_NAME).read_text(encoding="utf-8")


def test_the_card_tells_what_the_model_is_and_how_it_ended(tmp_path, generators):
    digest = save_generators(tmp_path, generators)
    text = (tmp_path / CARD_NAME).read_text(encoding="utf-8")
    assert text.startswith("---\nlicense: unknown\nlibrary_name: riemaug\n")
    for told in ("ab12" * 16, digest, "| cat | 5 |", "images of shape 3x4, uint8", "all 2 classes", "| 2 |"):
        assert told in text
    assert f"| {generators.classes[0].history.best_elbo:.2f} |" in text
    assert "Not for diagnosis" in text
    assert "riemaug sample MODEL NEW" in text
    assert "holds the encodings of its training samples" in " ".join(text.split())
    assert "vwxyz" not in text
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", text), "no time is told"


def test_the_same_model_has_the_same_card(tmp_path, generators):
    assert card_of(tmp_path / "a", generators) == card_of(tmp_path / "b", generators)


def test_the_front_matter_is_yaml_that_hubs_read(tmp_path, generators):
    yaml = pytest.importorskip("yaml")
    _, matter, _ = card_of(tmp_path, generators).split("---\n", 2)
    assert yaml.safe_load(matter) == {
        "license": "unknown",
        "library_name": "riemaug",
        "tags": ["data-augmentation", "synthetic-data", "variational-autoencoder"],
    }


def test_names_of_classes_are_text_and_nothing_else(tmp_path):
    torch.manual_seed(0)
    _, _, body = card_of(tmp_path, fitted(HOSTILE)).split("---\n", 2)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(body)
    inner = [child for token in tokens for child in token.children or ()]
    assert not {token.type for token in (*tokens, *inner)} & {
        "link_open",
        "html_inline",
        "html_block",
        "image",
    }
    shown = [
        "".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"
    ]
    for name in HOSTILE:
        visible = "".join(c if c.isprintable() else f"<{ord(c):04x}>" for c in name)
        assert visible in shown
    assert "\u202e" not in body
    assert "\x1b" not in body


@pytest.mark.parametrize("kind", ["vae", "hvae", "vamp"])
def test_samplers_are_those_that_the_model_can_be_drawn_by(tmp_path, kind):
    assert samplers_of(kind) == ["prior"]
    assert samplers_of("rhvae")[0] == "mixture"
    assert len(samplers_of("rhvae")) == 6


def test_an_imported_model_says_what_is_not_known(tmp_path, generators):
    unknown = replace(
        generators,
        data_fingerprint=UNKNOWN_DATA,
        classes=tuple(replace(item, history=History()) for item in generators.classes),
    )
    text = card_of(tmp_path, unknown)
    assert "| SHA-256 | not known |" in text
    assert text.count("not known") >= 4
    assert "no names of files" in " ".join(text.split())
