"""Model folders: the same samples after reading, and nothing read that was changed or is not ours."""

import copy
import json
import math
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from riemaug.class_model import ClassModel, Networks, TrainingRows, fit_class, fit_model
from riemaug.config import GeneratorConfig, SamplingConfig
from riemaug.data import RangeScaler
from riemaug.data.dataset import SampleFormat
from riemaug.errors import InvalidInputError
from riemaug.models import ModelConfig, class_condition
from riemaug.models.config import ModelKind
from riemaug.serialization import (
    CARD_NAME,
    DESCRIPTION_NAME,
    FORMAT_VERSION,
    WEIGHTS_NAME,
    FittedGenerators,
    file_hash,
    load_generators,
    save_generators,
    write_tensors,
)
from riemaug.training import TrainingConfig

NAMES = ("cat", "dog")
SHAPE = (3, 4)


def fitted(kind: ModelKind = "rhvae", latent_dim: int = 2) -> FittedGenerators:
    generator = np.random.default_rng(0)
    samples = generator.integers(10, 200, (10, *SHAPE)).astype(np.uint8)
    scaler = RangeScaler.fit(samples)
    unit = torch.from_numpy(scaler.transform(samples).reshape(10, -1))
    config = ModelConfig(
        kind=kind,
        data_dim=12,
        latent_dim=latent_dim,
        encoder_hidden=(6,),
        decoder_hidden=(6,),
        metric_hidden=(6,),
    )
    classes = tuple(
        fit_class(
            name,
            unit[5 * index : 5 * index + 5],
            tuple(f"{name}/{i}.png" for i in range(5)),
            config,
            TrainingConfig(max_epochs=4),
            seed=3,
        )
        for index, name in enumerate(NAMES)
    )
    return FittedGenerators(
        classes,
        GeneratorConfig(model=kind, latent_dim=latent_dim, seed=3),
        scaler,
        SampleFormat("arrays", SHAPE, "uint8", "", ("X", "y"), grey_as_rgb=False),
        np.array([4, 7], np.int16),
        (5, 5),
        "abc",
    )


def shared_model(network: str = "mlp", num_classes: int = 3) -> FittedGenerators:
    """Fit one model that three classes share, hardly."""
    one = fitted()
    generator = torch.Generator().manual_seed(1)
    rows = [
        TrainingRows(f"class {i}", torch.rand(4 + i, 12, generator=generator), tuple("abcdef"[: 4 + i]))
        for i in range(num_classes)
    ]
    config = ModelConfig(
        data_dim=12,
        network=network,
        data_shape=SHAPE,
        num_conditions=num_classes,
        encoder_hidden=(6,),
        decoder_hidden=(6,),
        metric_hidden=(6,),
        conv_channels=2,
    )
    classes = fit_model(rows, config, TrainingConfig(max_epochs=3), seed=2)
    sizes = tuple(len(part.data) for part in rows)
    return replace(one, classes=classes, label_values=None, class_sizes=sizes)


@pytest.fixture(scope="module")
def generators() -> FittedGenerators:
    return fitted()


@pytest.fixture
def folder(tmp_path: Path, generators: FittedGenerators) -> Path:
    save_generators(tmp_path / "model", generators)
    return tmp_path / "model"


def drawn(item: ClassModel, config: SamplingConfig) -> torch.Tensor:
    return item.decode(item.sampler(config).sample(40, item.draw_stream(5)).points)


# round trips


@pytest.mark.parametrize(("kind", "latent_dim"), [("rhvae", 1), ("rhvae", 2), ("rhvae", 3), ("vae", 2)])
def test_models_come_back_bit_for_bit(tmp_path: Path, kind: ModelKind, latent_dim: int) -> None:
    before = fitted(kind, latent_dim)
    assert save_generators(tmp_path, before) == file_hash(tmp_path / WEIGHTS_NAME)
    after = load_generators(tmp_path)
    assert after.class_names == NAMES
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        CARD_NAME,
        DESCRIPTION_NAME,
        WEIGHTS_NAME,
    ]
    for one, two in zip(before.classes, after.classes, strict=True):
        for sampler in ("prior",) if kind == "vae" else ("prior", "mixture"):
            config = SamplingConfig(sampler=sampler)
            assert torch.equal(drawn(one, config), drawn(two, config))
        assert two.sources == one.sources
        assert two.history == one.history
        assert two.model.config == one.model.config
        assert not two.model.training
        assert {w.dtype for w in two.model.parameters()} == {torch.float32}
        if one.metric is not None:
            assert two.metric is not None
            assert torch.equal(two.metric.centroids, one.metric.centroids)
            assert two.metric.factors.dtype == torch.float64


def test_everything_beside_the_tensors_comes_back(folder: Path, generators: FittedGenerators) -> None:
    loaded = load_generators(folder)
    assert loaded.config == generators.config
    assert loaded.sample_format == generators.sample_format
    assert loaded.class_sizes == (5, 5)
    assert loaded.data_fingerprint == "abc"
    assert loaded.sampling is None
    assert loaded.label_values is not None
    assert loaded.label_values.dtype == np.int16
    assert loaded.label_values.tolist() == [4, 7]
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, *SHAPE)
    assert np.array_equal(loaded.scaler.inverse(values), generators.scaler.inverse(values))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["a", "b"], "<U7"),
        np.array([False, True]),
        np.array([b"a", b"\xff\x01"]),
        np.array([1.0, 2.0], np.float32),
        np.array([2**63, 2**64 - 1], np.uint64),
        None,
    ],
    ids=["text", "bool", "bytes", "float", "large", "folder"],
)
def test_labels_keep_their_values_and_kind(
    tmp_path: Path, generators: FittedGenerators, labels: np.ndarray | None
) -> None:
    save_generators(tmp_path, replace(generators, label_values=labels))
    loaded = load_generators(tmp_path).label_values
    if labels is None:
        assert loaded is None
    else:
        assert loaded is not None
        assert loaded.dtype == labels.dtype
        assert loaded.tolist() == labels.tolist()


def test_what_the_estimator_sampled_with_comes_back(tmp_path: Path, generators: FittedGenerators) -> None:
    sampling = SamplingConfig(sampler="walk", inverse_temperature=1.5, seed=9)
    save_generators(tmp_path, replace(generators, sampling=sampling))
    assert load_generators(tmp_path).sampling == sampling


def test_one_class_alone_can_be_read(folder: Path, generators: FittedGenerators) -> None:
    loaded = load_generators(folder, only_class="dog")
    assert loaded.class_names == ("dog",)
    assert loaded.class_sizes == (5, 5)
    config = SamplingConfig()
    assert torch.equal(drawn(loaded.classes[0], config), drawn(generators.classes[1], config))


def test_the_class_is_told_from_one_whose_number_begins_alike(
    tmp_path: Path, generators: FittedGenerators
) -> None:
    # class 1's tensors are called 1.*, those of class 11 are 11.*
    originals = [generators.classes[i % 2] for i in range(12)]
    items = tuple(
        replace(item, name=f"class {i}", model=copy.deepcopy(item.model), metric=copy.deepcopy(item.metric))
        for i, item in enumerate(originals)
    )
    many = replace(generators, classes=items, label_values=None, class_sizes=(5,) * 12)
    save_generators(tmp_path, many)
    loaded = load_generators(tmp_path, only_class="class 1").classes[0]
    config = SamplingConfig()
    assert torch.equal(drawn(loaded, config), drawn(items[1], config))


def test_saving_the_same_twice_gives_the_same_bytes(tmp_path: Path, generators: FittedGenerators) -> None:
    for name in ("one", "two"):
        save_generators(tmp_path / name, generators)
    for name in (WEIGHTS_NAME, DESCRIPTION_NAME):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_descriptions_are_strict_json_and_warn_of_what_they_hold(folder: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (folder / DESCRIPTION_NAME).read_text(encoding="utf-8")
    description = json.loads(text, parse_constant=refuse)
    assert description["format_version"] == FORMAT_VERSION
    assert "reproduce" in description["reveals"]


def test_scores_that_were_not_finite_stay_strict_json(tmp_path: Path) -> None:
    generators = fitted()
    for item in generators.classes:
        item.history.validation = [math.nan, -3.0]
    save_generators(tmp_path, generators)
    description = json.loads((tmp_path / DESCRIPTION_NAME).read_text(encoding="utf-8"))
    assert description["models"][0]["history"]["validation"] == [None, -3.0]
    validation = load_generators(tmp_path).classes[0].history.validation
    assert math.isnan(validation[0])
    assert validation[1:] == [-3.0]


# one model that classes share


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_a_shared_model_comes_back_bit_for_bit_and_is_stored_once(tmp_path: Path, network: str) -> None:
    before = shared_model(network)
    save_generators(tmp_path, before)
    after = load_generators(tmp_path)
    assert len({id(item.model) for item in after.classes}) == 1
    for one, two in zip(before.classes, after.classes, strict=True):
        assert (one.name, one.group, one.sources) == (two.name, two.group, two.sources)
        assert torch.equal(drawn(one, SamplingConfig()), drawn(two, SamplingConfig()))
        assert torch.equal(one.reconstruct(torch.ones(3, 12)), two.reconstruct(torch.ones(3, 12)))
    stored = load_file(tmp_path / WEIGHTS_NAME)
    num_weights = sum(tensor.numel() for name, tensor in stored.items() if ".network." in name)
    assert num_weights == before.classes[0].model.config.num_parameters()


def test_a_shared_model_decodes_a_point_as_the_class_that_asks(tmp_path: Path) -> None:
    save_generators(tmp_path, shared_model())
    items, point = load_generators(tmp_path).classes, torch.zeros(1, 2)
    decoded = [item.decode(point) for item in items]
    model = items[0].model
    for item, found in zip(items, decoded, strict=True):
        condition = class_condition(torch.tensor([item.group]), 3)
        assert torch.allclose(found, model.decode(point, condition), atol=1e-6)
    assert not torch.allclose(decoded[0], decoded[1], atol=1e-6)


def test_the_metric_of_a_class_is_made_of_its_own_samples() -> None:
    for item in shared_model().classes:
        assert item.metric is not None
        assert item.metric.num_centroids == len(item.sources)


def test_one_class_of_a_shared_model_can_be_read_alone(tmp_path: Path) -> None:
    before = shared_model()
    save_generators(tmp_path, before)
    loaded = load_generators(tmp_path, only_class="class 2")
    assert loaded.class_names == ("class 2",)
    assert torch.equal(drawn(loaded.classes[0], SamplingConfig()), drawn(before.classes[2], SamplingConfig()))


def test_a_loaded_shared_model_estimates_the_evidence_of_each_class(tmp_path: Path) -> None:
    save_generators(tmp_path, shared_model())
    data = torch.rand(3, 12, generator=torch.Generator().manual_seed(2))
    for item in load_generators(tmp_path).classes:
        generator = torch.Generator().manual_seed(3)
        estimate = item.model.log_evidence_estimate(data, generator, item.condition(3))
        assert bool(estimate.isfinite().all())


@pytest.mark.parametrize("group", [0, 3, -1, None, True, "1", 1.0, 10**30])
def test_a_group_that_is_anothers_or_none_is_refused(tmp_path: Path, group: object) -> None:
    save_generators(tmp_path, shared_model())
    change_description(
        tmp_path, lambda description: description["models"][0]["classes"][1].update(group=group)
    )
    refused(tmp_path, "must fit together")


# networks of the user's own


class OwnEncoder(torch.nn.Module):
    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(12, width)
        self.norm = torch.nn.BatchNorm1d(width)
        self.heads = torch.nn.Linear(width, 4)

    def forward(self, data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = self.heads(self.norm(self.hidden(data.flatten(1))).relu()).split(2, 1)
        return mean, log_variance


class OwnDecoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 12)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return self.layer(latent).reshape(-1, *SHAPE)


def own_networks(width: int = 5) -> Networks:
    torch.manual_seed(0)
    return Networks(OwnEncoder(width), OwnDecoder())


def fitted_with_own_networks() -> FittedGenerators:
    one = fitted()
    config = ModelConfig(data_dim=12, network="custom", data_shape=SHAPE, metric_hidden=(6,))
    data = torch.rand(5, 12, generator=torch.Generator().manual_seed(1))
    settings = TrainingConfig(max_epochs=3)
    item = fit_class("own", data, tuple("abcde"), config, settings, 1, networks=own_networks())
    return replace(one, classes=(item,), label_values=None, class_sizes=(5,))


def test_networks_of_ones_own_come_back_with_all_their_state(tmp_path: Path) -> None:
    before = fitted_with_own_networks()
    save_generators(tmp_path, before)
    after = load_generators(tmp_path, networks=own_networks())
    one, two = before.classes[0], after.classes[0]
    assert torch.equal(drawn(one, SamplingConfig()), drawn(two, SamplingConfig()))
    data = torch.rand(4, 12, generator=torch.Generator().manual_seed(5))
    assert torch.equal(one.reconstruct(data), two.reconstruct(data))


def test_networks_of_ones_own_are_asked_for_and_checked(tmp_path: Path) -> None:
    save_generators(tmp_path, fitted_with_own_networks())
    refused(tmp_path, "fitted with networks of your own")
    with pytest.raises(InvalidInputError, match="must fit together"):
        load_generators(tmp_path, networks=own_networks(width=6))


# earlier formats


def test_a_folder_of_format_1_gives_the_samples_it_gave(tmp_path: Path) -> None:
    old = Path(__file__).parent / "model_format_1"
    expected = json.loads((old / "drawn.json").read_text(encoding="utf-8"))
    loaded = load_generators(old)
    assert loaded.class_names == NAMES
    assert loaded.class_sizes == (5, 5)
    item = loaded.classes[0]
    points = item.sampler(SamplingConfig()).sample(3, item.draw_stream(5)).points
    assert torch.allclose(points, torch.tensor(expected["points"], dtype=torch.float64), atol=1e-9)
    assert torch.allclose(item.decode(points), torch.tensor(expected["decoded"]), atol=1e-5)
    # and written anew it is of the present format, with the same samples
    save_generators(tmp_path, loaded)
    description = json.loads((tmp_path / DESCRIPTION_NAME).read_text(encoding="utf-8"))
    assert description["format_version"] == FORMAT_VERSION
    anew = load_generators(tmp_path, only_class="cat").classes[0]
    assert torch.equal(anew.decode(points), item.decode(points))


@pytest.mark.parametrize("classes", [None, 3, [3], [{"name": "cat"}], [{"name": 1}]])
def test_a_damaged_folder_of_format_1_is_refused(tmp_path: Path, classes: object) -> None:
    folder = tmp_path / "model"
    shutil.copytree(Path(__file__).parent / "model_format_1", folder)
    change_description(folder, at_top(classes=classes))
    refused(folder, "must be whole")


# refusals


def refused(folder: Path, match: str | None = None) -> None:
    with pytest.raises(InvalidInputError, match=match) as caught:
        load_generators(folder)
    assert "\n" not in str(caught.value)


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_a_flipped_bit_in_the_tensors_is_noticed(folder: Path, share: float) -> None:
    path = folder / WEIGHTS_NAME
    flip(path, int(share * path.stat().st_size))
    refused(folder, "must match the hash")


@pytest.mark.parametrize("name", [WEIGHTS_NAME, DESCRIPTION_NAME])
def test_absent_files_are_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, "a model folder holds")
    refused(folder / "nowhere", "a model folder holds")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"3", b'{"format_version": 1}', b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "cut", "list", "null", "number", "incomplete", "no-utf8", "deep"],
)
def test_descriptions_that_are_none_are_refused(folder: Path, content: bytes) -> None:
    (folder / DESCRIPTION_NAME).write_bytes(content)
    refused(folder, "must be whole")


Change = Callable[[dict], object]


def change_description(folder: Path, change: Change) -> None:
    path = folder / DESCRIPTION_NAME
    description = json.loads(path.read_text(encoding="utf-8"))
    change(description)
    description["tensors_sha256"] = file_hash(folder / WEIGHTS_NAME)
    path.write_text(json.dumps(description), encoding="utf-8")


def test_the_helper_that_changes_descriptions_leaves_them_readable(folder: Path) -> None:
    change_description(folder, lambda description: description.update(data_sha256="new"))
    assert load_generators(folder).data_fingerprint == "new"


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 10**30])
def test_later_formats_are_refused_with_the_fix(folder: Path, version: int) -> None:
    change_description(folder, lambda description: description.update(format_version=version))
    refused(folder, "install a newer riemaug")


def in_model(**values: object) -> Change:
    return lambda description: description["models"][0]["model"].update(values)


def in_class(**values: object) -> Change:
    return lambda description: description["models"][1]["classes"][0].update(values)


def in_entry(**values: object) -> Change:
    return lambda description: description["models"][1].update(values)


def at_top(**values: object) -> Change:
    return lambda description: description.update(values)


def without(*keys: str) -> Change:
    return lambda description: [description.pop(key) for key in keys]


@pytest.mark.parametrize(
    "change",
    [
        in_model(data_dim=10**9),
        in_model(encoder_hidden=[10**9]),
        in_model(decoder_hidden=[10**5] * 50),
        in_model(latent_dim=500),
    ],
    ids=["data", "layer", "layers", "latent"],
)
def test_absurd_models_are_refused_before_they_are_built(folder: Path, change: Change) -> None:
    change_description(folder, change)
    refused(folder, "the number of weights differs")


CHANGES: dict[str, Change] = {
    "no layer": in_model(encoder_hidden=[]),
    "negative layer": in_model(encoder_hidden=[-1]),
    "latent dimension": in_model(latent_dim=10**6),
    "kind": in_model(kind="vae"),
    "bandwidth": in_model(bandwidth=-1.0),
    "infinite bandwidth": in_model(bandwidth=float("inf")),
    "unknown field": in_model(surprise=1),
    "no sources": in_class(sources=[]),
    "sources no list": in_class(sources=None),
    "history": in_entry(history={"surprise": 1}),
    "history no mapping": in_entry(history=[]),
    "group without conditions": in_class(group=0),
    "group no number": in_class(group="x"),
    "name": in_class(name=3),
    "no model": lambda description: description["models"][0].pop("model"),
    "version no number": at_top(format_version="1"),
    "models no list": at_top(models=None),
    "classes no list": in_entry(classes=None),
    "a class lacks": lambda description: description["models"].pop(),
    "no class": in_entry(classes=[]),
    "config": at_top(config={"surprise": 1}),
    "config no mapping": at_top(config=None),
    "scaler": at_top(scaler={}),
    "scaler no mapping": at_top(scaler=None),
    "scaler shape": lambda description: description["scaler"].update(low=[0.0] * 5, high=[1.0] * 5),
    "format": at_top(sample_format={"kind": "folder"}),
    "huge samples": lambda description: description["sample_format"].update(shape=[10**9, 10**9]),
    "other shape": lambda description: description["sample_format"].update(shape=[3, 5]),
    "label kind": at_top(label_dtype="O"),
    "no label kind": at_top(label_dtype="nonsense"),
    "huge labels": at_top(label_dtype="<U1000000000"),
    "label values": at_top(label_values=["x", "y"]),
    "too few labels": at_top(label_values=[1]),
    "nested labels": at_top(label_values=[[1, 2], [3, 4]]),
    "large label": at_top(label_values=[1, 10**30]),
    "sizes": at_top(class_sizes=[5]),
    "sizes no numbers": at_top(class_sizes=["many", "few"]),
    "endless sizes": at_top(class_sizes=[float("inf"), 5]),
    "sampling": at_top(sampling={"sampler": "guess"}),
    "sampling no mapping": at_top(sampling=3),
    "nothing": without("models", "config", "scaler"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_descriptions_are_refused(folder: Path, name: str) -> None:
    change_description(folder, CHANGES[name])
    refused(folder)


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / WEIGHTS_NAME)
    change(tensors)
    save_file(tensors, folder / WEIGHTS_NAME)
    change_description(folder, lambda description: None)


def overwrite(key: str, value: torch.Tensor) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: tensors.update({key: value})


def spoil(key: str, value: float) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda tensors: tensors[key].view(-1)[0].fill_(value)


TENSOR_CHANGES: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "NaN centroid": spoil("0.0.metric.centroids", float("nan")),
    "infinite factor": spoil("1.0.metric.factors", float("inf")),
    "NaN weight": spoil("0.network.encoder.mean.weight", float("nan")),
    "no centroids": lambda tensors: tensors.pop("0.0.metric.centroids"),
    "no weight": lambda tensors: tensors.pop("0.network.encoder.mean.weight"),
    "fewer centroids": overwrite("0.0.metric.centroids", torch.zeros(4, 2, dtype=torch.float64)),
    "other dimension": overwrite("0.0.metric.factors", torch.zeros(5, 3, 3, dtype=torch.float64)),
    "flat factors": overwrite("0.0.metric.factors", torch.zeros(5, 4, dtype=torch.float64)),
    "whole numbers": overwrite("0.0.metric.centroids", torch.zeros(5, 2, dtype=torch.int64)),
    "two precisions": overwrite("0.0.metric.centroids", torch.zeros(5, 2)),
    "weight shape": overwrite("0.network.encoder.mean.weight", torch.zeros(6, 2)),
    "one more": overwrite("0.network.surprise", torch.zeros(0)),
}


@pytest.mark.parametrize("name", TENSOR_CHANGES)
def test_tensors_that_do_not_fit_are_refused(folder: Path, name: str) -> None:
    change_tensors(folder, TENSOR_CHANGES[name])
    refused(folder, "must fit together")


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (open, (str(self.path), "w"))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_pickles_are_never_read(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    bomb = pickle.dumps(Bomb(mark))
    pickle.loads(bomb).close()
    assert mark.exists()
    mark.unlink()
    (folder / WEIGHTS_NAME).write_bytes(bomb)
    refused(folder, "must match the hash")
    change_description(folder, lambda description: None)
    refused(folder, "must be whole")
    torch.save({"0.network.x": Bomb(mark)}, folder / WEIGHTS_NAME)
    change_description(folder, lambda description: None)
    refused(folder, "must be whole")
    assert not mark.exists()


@pytest.mark.skipif(os.name == "nt", reason="files have no such modes on this system")
def test_a_saved_model_can_be_read_by_whom_the_user_lets(tmp_path: Path) -> None:
    """The umask decides, as for any other file."""
    (tmp_path / "usual").touch()
    write_tensors(tmp_path / "x.safetensors", {"a": torch.ones(2)})
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "usual").stat().st_mode
