"""Nothing in a folder of unknown origin is run, and none of it takes more than it weighs."""

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from peer_files import NUM_CENTROIDS, save_peer, state_of

from riemaug.errors import InvalidInputError
from riemaug.importing import import_models


class Canary:
    """An object whose unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def canary(tmp_path):
    """A canary that was seen to sing when its pickle is read the ordinary way."""
    found = Canary(tmp_path / "canary")
    torch.save({"M": found}, tmp_path / "check.pt")
    torch.load(tmp_path / "check.pt", weights_only=False)
    assert found.path.is_dir()
    found.path.rmdir()
    return found


def test_pickled_networks_are_never_opened(tmp_path, canary):
    for custom in (True, False):  # left lying about, or needed by what the configuration says
        folder = save_peer(
            tmp_path / f"peer-{custom}",
            uses_default_encoder=not custom,
            uses_default_decoder=not custom,
        )
        for part in ("encoder", "decoder", "metric"):
            (folder / f"{part}.pkl").write_bytes(pickle.dumps(canary))
        if custom:
            with pytest.raises(InvalidInputError, match="pickled code that is never opened"):
                import_models({"a": folder})
        else:
            assert import_models({"a": folder}).class_names == ("a",)
    assert not canary.path.exists()


@pytest.mark.parametrize("place", ["M", "model_state_dict", "more", "in the state"])
def test_code_among_the_tensors_is_never_run(tmp_path, canary, place):
    content = {"model_state_dict": state_of((1, 2, 2), 2) | {"x": canary}}
    folder = save_peer(tmp_path / "peer", content={place: canary} if place != "in the state" else content)
    with pytest.raises(InvalidInputError, match="tensors alone.* nothing of it was run"):
        import_models({"a": folder})
    assert not canary.path.exists()


def test_a_bare_pickle_is_never_read(tmp_path, canary):
    folder = save_peer(tmp_path / "peer")
    (folder / "model.pt").write_bytes(pickle.dumps(canary))
    with pytest.raises(InvalidInputError, match="an archive that torch.save"):
        import_models({"a": folder})
    torch.save({"M": canary}, folder / "model.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(InvalidInputError, match="an archive that torch.save"):
        import_models({"a": folder})
    assert not canary.path.exists()


def test_an_archive_that_unfolds_is_refused(tmp_path):
    folder = save_peer(tmp_path / "peer")
    with zipfile.ZipFile(folder / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(InvalidInputError, match="compresses nothing.* unfolds to 10,000,000 bytes"):
        import_models({"a": folder})


def test_a_view_that_repeats_a_number_is_refused(tmp_path):
    wide = torch.ones(1).expand(10**9, 2, 2)
    folder = save_peer(tmp_path / "peer", content={"M": wide})
    assert (folder / "model.pt").stat().st_size < 10_000
    with pytest.raises(InvalidInputError, match="arrays of finite real numbers, 'M'"):
        import_models({"a": folder})


@pytest.mark.parametrize(
    "matrices",
    [
        torch.full((NUM_CENTROIDS, 2, 2), torch.nan),
        torch.eye(2, dtype=torch.int64).repeat(NUM_CENTROIDS, 1, 1),
        torch.eye(2, dtype=torch.complex64).repeat(NUM_CENTROIDS, 1, 1),
        torch.eye(2).to_sparse(),
        [1.0, 2.0],
    ],
)
def test_what_is_no_array_of_finite_numbers_is_refused(tmp_path, matrices):
    folder = save_peer(tmp_path / "peer", content={"M": matrices})
    with pytest.raises(InvalidInputError, match="tensors"):
        import_models({"a": folder})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": ' * 5000, "\xff"])
def test_a_configuration_that_is_none_is_refused(tmp_path, text):
    folder = save_peer(tmp_path / "peer")
    (folder / "model_config.json").write_text(text, encoding="latin-1")
    with pytest.raises(InvalidInputError, match="model_config.json must be"):
        import_models({"a": folder})


def test_a_configuration_without_a_field_is_refused(tmp_path):
    folder = save_peer(tmp_path / "peer")
    fields = json.loads((folder / "model_config.json").read_text())
    for name in fields:
        if name == "name":  # without it the folder is taken for one of pyraug
            continue
        left = {key: value for key, value in fields.items() if key != name}
        (folder / "model_config.json").write_text(json.dumps(left))
        with pytest.raises(InvalidInputError, match=name):
            import_models({"a": folder})


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="holds model_config.json and model.pt"):
        import_models({"a": tmp_path})
