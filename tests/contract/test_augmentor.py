"""What the estimator promises: shapes, kinds and ranges kept, the same bytes for a seed, files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

import riemaug.run.stages
from riemaug.augmentor import Augmentor
from riemaug.errors import InvalidInputError
from riemaug.run.sharing import RehearsalJob
from tests.contract.small import PER_CLASS, digits, quick

# what comes out


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2.0, 3.0, shape).astype(np.float32)


KINDS = {
    "grey-uint8": lambda: digits()[0],
    "uint16": lambda: digits()[0].astype(np.uint16) * 200 + 50,
    "int8": lambda: (digits()[0] // 2).astype(np.int8) - 60,
    "colour-float32": lambda: floats(24, 3, 5, 4),
    "volume-float64": lambda: floats(24, 3, 4, 2).astype(np.float64),
    "table-float32": lambda: floats(24, 6),
    "table-int64": lambda: (100 * floats(24, 3)).astype(np.int64),
    "binary-images": lambda: digits()[0] > 100,
    "big-endian": lambda: floats(24, 4, 4).astype(">f4"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_shape_kind_and_range_of_the_data(kind: str) -> None:
    data, labels = KINDS[kind](), digits()[1]
    kept = data.copy()
    samples, new_labels = quick().fit(data, labels).sample(7)
    assert np.array_equal(data, kept)
    assert samples.shape == (14, *data.shape[1:])
    assert samples.dtype == data.dtype.newbyteorder("=")
    assert new_labels.tolist() == [0] * 7 + [1] * 7
    axis = 0 if data.ndim == 2 else None
    assert (samples >= data.min(axis)).all()
    assert (samples <= data.max(axis)).all()
    assert len(np.unique(samples.reshape(14, -1), axis=0)) > 1


def test_samples_look_like_their_class(fitted: Augmentor) -> None:
    data, labels = digits()
    samples, new_labels = fitted.sample(30)
    means = np.stack([data[labels == label].mean(0) for label in (0, 1)]).reshape(2, -1)
    gaps = ((samples.reshape(-1, 1, 64).astype(float) - means) ** 2).sum(-1)
    assert (gaps.argmin(1) == new_labels).mean() > 0.95


@pytest.mark.parametrize(
    "names",
    [
        np.array(["cat", "dog"]),
        np.array([False, True]),
        np.array([3, -7], np.int16),
        np.array([b"x", b"y"]),
        np.array([2.0, 5.0]),
    ],
    ids=["text", "bool", "int", "bytes", "float"],
)
def test_labels_keep_their_values_and_kind(names: np.ndarray, tmp_path: Path) -> None:
    data, labels = digits()
    augmentor = quick(model="vae").fit(data, names[labels])
    assert augmentor.classes_.dtype == names.dtype
    assert augmentor.classes_.tolist() == sorted(names.tolist())
    wanted = names.tolist()[0]
    _, drawn = augmentor.sample({wanted: 3})
    assert drawn.dtype == names.dtype
    assert drawn.tolist() == [wanted] * 3
    augmentor.save(tmp_path)
    assert Augmentor.load(tmp_path).sample(1)[1].tolist() == sorted(names.tolist())


def test_lists_are_taken() -> None:
    data, labels = digits()
    samples, drawn = quick(model="vae").fit(data.tolist(), ["ab"[label] for label in labels]).sample(2)
    assert samples.shape == (4, 8, 8)
    assert drawn.tolist() == ["a", "a", "b", "b"]


def test_columns_of_a_table_keep_their_own_ranges() -> None:
    labels = digits()[1]
    scales, offsets = np.array([1, 1000, 1e-3, 0], np.float32), np.array([0, 5, 0, 7], np.float32)
    table = floats(24, 4) * scales + offsets
    augmentor = quick().fit(table, labels)
    assert {item.model.config.likelihood for item in augmentor.generators_.classes} == {"gaussian"}
    samples, _ = augmentor.sample(20)
    assert (samples[:, 3] == 7).all()
    assert (samples.std(0)[:3] > 0).all()
    assert (np.abs(samples[:, 2]) <= np.abs(table[:, 2]).max()).all()


# amounts


@pytest.mark.usefixtures("unchecked")
def test_counts_by_label(fitted: Augmentor) -> None:
    samples, labels = fitted.sample({1: 4})
    assert labels.tolist() == [1] * 4
    assert np.array_equal(samples, fitted.sample({0: 2, 1: 4})[0][2:])
    assert fitted.sample({np.int64(1): np.int64(4), 0: 0})[1].tolist() == [1] * 4


@pytest.mark.parametrize("nothing", [0, {}, {0: 0, 1: 0}])
def test_no_samples(fitted: Augmentor, nothing: object) -> None:
    samples, labels = fitted.sample(nothing)
    assert samples.shape == (0, 8, 8)
    assert samples.dtype == np.uint8
    assert labels.shape == (0,)
    assert labels.dtype == fitted.classes_.dtype


# the same bytes


def test_the_same_call_gives_the_same_samples_and_other_seeds_others(fitted: Augmentor) -> None:
    first, again, other = fitted.sample(5), fitted.sample(5), fitted.sample(5, random_state=1)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[0], fitted.sample(5, random_state=0)[0])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("sampler", ["mixture", pytest.param("walk", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("unchecked")
def test_more_samples_begin_with_the_fewer(fitted: Augmentor, sampler: str) -> None:
    augmentor = clone(fitted).set_params(sampler=sampler)
    augmentor.generators_, augmentor.classes_ = fitted.generators_, fitted.classes_
    augmentor.random_state_ = 0
    many, few = (augmentor.sample({0: num})[0] for num in (300, 256))
    assert np.array_equal(many[:256], few)
    assert not np.array_equal(many[256:], many[:44])


@pytest.mark.slow
def test_a_seed_gives_the_same_bytes_in_one_process_or_two(fitted: Augmentor) -> None:
    data, labels = digits()
    twin = quick(max_epochs=30, n_jobs=2).fit(data, labels)
    assert np.array_equal(twin.sample(20)[0], fitted.sample(20)[0])
    for one, two in zip(fitted.generators_.classes, twin.generators_.classes, strict=True):
        for weight, other in zip(one.model.parameters(), two.model.parameters(), strict=True):
            assert torch.equal(weight, other)
        assert one.history.elbo == two.history.elbo


def test_the_bits_of_a_sample_do_not_depend_on_those_decoded_with_it(fitted: Augmentor) -> None:
    item = fitted.generators_.classes[0]
    points = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = item.decode(points)
    for num in (1, 5, 129):
        assert torch.equal(item.decode(points[:num]), whole[:num])


def test_the_users_number_of_threads_is_put_back() -> None:
    torch.set_num_threads(2)
    try:
        quick(model="vae", max_epochs=1).fit(*digits()).sample(2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_classes_of_the_same_data_are_learned_and_drawn_apart() -> None:
    data, _ = digits(1)
    twice, labels = np.concatenate([data, data]), np.repeat([0, 1], PER_CLASS)
    augmentor = quick(model="vae").fit(twice, labels)
    samples, _ = augmentor.sample(4)
    assert not np.array_equal(samples[:4], samples[4:])
    one, two = (item.model.encoder.mean.weight for item in augmentor.generators_.classes)
    assert not torch.equal(one, two)


def test_a_class_is_learned_alike_whatever_others_there_are() -> None:
    data, labels = digits(3)
    data[0, 0, 0] = 255  # one range for all: that of class 0
    few = labels < 2
    two = quick().fit(data[few], labels[few]).sample({0: 10})[0]
    three = quick().fit(data, labels).sample({0: 10})[0]
    assert np.array_equal(two, three)


def test_other_seeds_train_other_models() -> None:
    data, labels = digits()
    samples = [quick(random_state=seed).fit(data, labels).sample(5, random_state=3)[0] for seed in (0, 1)]
    assert not np.array_equal(samples[0], samples[1])


def test_without_a_seed_one_is_drawn_and_kept() -> None:
    augmentor = quick(random_state=None, model="vae").fit(*digits())
    assert augmentor.random_state is None
    assert np.array_equal(augmentor.sample(3)[0], augmentor.sample(3)[0])
    repeated = quick(random_state=augmentor.random_state_, model="vae").fit(*digits())
    assert np.array_equal(repeated.sample(3)[0], augmentor.sample(3)[0])
    assert quick(random_state=None, model="vae").fit(*digits()).random_state_ != augmentor.random_state_


def test_global_generators_are_left_alone() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    legacy = np.random.get_state()[1].copy()  # noqa: NPY002
    quick().fit(*digits()).sample(3)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002


# one model that all classes share


def shared(**settings: object) -> Augmentor:
    return quick(preset="conditional", sharing="always", **settings)


@pytest.mark.usefixtures("unchecked")
def test_classes_share_one_model_and_are_drawn_apart() -> None:
    augmentor = shared(max_epochs=8).fit(*digits(3))
    assert augmentor.sharing_.shared
    assert len({id(item.model) for item in augmentor.generators_.classes}) == 1
    samples, labels = augmentor.sample({0: 3, 2: 4})
    assert labels.tolist() == [0] * 3 + [2] * 4
    assert (samples.dtype, samples.shape) == (np.uint8, (7, 8, 8))
    assert np.array_equal(augmentor.sample({2: 4})[0], samples[3:])
    alike = augmentor.generators_.classes[0].decode(torch.zeros(1, 8))
    assert not torch.equal(alike, augmentor.generators_.classes[1].decode(torch.zeros(1, 8)))


@pytest.mark.usefixtures("unchecked")
def test_what_a_shared_model_decodes_does_not_depend_on_those_decoded_with_it() -> None:
    item = shared(model="vae").fit(*digits()).generators_.classes[1]
    points = torch.randn(200, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = item.decode(points)
    for num in (1, 5, 129):
        assert torch.equal(item.decode(points[:num]), whole[:num])


@pytest.mark.parametrize("kind", ["colour-float32", "volume-float64", "table-float32"])
def test_a_shared_model_takes_any_shape(kind: str) -> None:
    data, labels = KINDS[kind](), digits()[1]
    augmentor = shared(model="vae").fit(data, labels)
    samples, _ = augmentor.sample(3)
    assert samples.shape == (6, *data.shape[1:])
    assert samples.dtype == data.dtype
    network = augmentor.generators_.classes[0].model.config.network
    assert network == ("mlp" if data.ndim == 2 else "conv")


def test_sharing_is_measured_and_the_same_in_one_process_or_two() -> None:
    one, two = (quick(preset="conditional", model="vae", n_jobs=jobs).fit(*digits(3)) for jobs in (1, 2))
    assert one.sharing_ == two.sharing_
    assert one.sharing_.num_held_out == 6
    assert np.array_equal(one.sample(3)[0], two.sample(3)[0])


def test_classes_that_are_too_small_to_measure_share() -> None:
    data, labels = digits()
    few = np.r_[0:4, PER_CLASS : PER_CLASS + 4]
    sharing = quick(preset="conditional", model="vae").fit(data[few], labels[few]).sharing_
    assert sharing.shared
    assert "fewer than 5 samples" in sharing.reason


def test_classes_that_have_nothing_in_common_get_models_of_their_own(monkeypatch) -> None:
    def scores(job: RehearsalJob) -> list[float]:
        alone = len(job.fit.classes) == 1
        return [-1.0 if alone else -2.0 for held_out in job.held_out for _ in held_out.sources]

    monkeypatch.setattr(riemaug.run.stages, "run_rehearsal", scores)
    augmentor = quick(preset="conditional", model="vae").fit(*digits(3))
    assert (augmentor.sharing_.shared_nats, augmentor.sharing_.separate_nats) == (-2.0, -1.0)
    assert not augmentor.sharing_.shared
    never = quick(preset="conditional", model="vae", sharing="never").fit(*digits(3))
    assert np.array_equal(augmentor.sample(4)[0], never.sample(4)[0])
    configs = {item.model.config for item in augmentor.generators_.classes}
    assert {(config.network, config.num_conditions) for config in configs} == {("conv", 0)}
    assert len({id(item.model) for item in augmentor.generators_.classes}) == 3


# networks of the user's own


class OwnEncoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 4)

    def forward(self, data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = self.layer(data.flatten(1)).split(2, 1)
        return mean, log_variance


def own_networks() -> dict[str, torch.nn.Module]:
    decoder = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Unflatten(1, (8, 8)))
    with torch.no_grad():
        encoder, generator = OwnEncoder(), torch.Generator().manual_seed(0)
        for weight in [*encoder.parameters(), *decoder.parameters()]:
            weight.uniform_(-0.1, 0.1, generator=generator)
    return {"encoder": encoder, "decoder": decoder}


@pytest.mark.parametrize("model", ["rhvae", "vae"])
@pytest.mark.usefixtures("unchecked")
def test_networks_of_ones_own_are_trained_as_copies_and_loaded(tmp_path: Path, model: str) -> None:
    networks = own_networks()
    kept = {name: weight.clone() for name, weight in networks["encoder"].state_dict().items()}
    augmentor = quick(model=model, **networks).fit(*digits())
    for name, weight in networks["encoder"].state_dict().items():
        assert torch.equal(weight, kept[name])
    samples, _ = augmentor.sample(3)
    assert samples.shape == (6, 8, 8)
    augmentor.save(tmp_path)
    after = Augmentor.load(tmp_path, **own_networks())
    assert np.array_equal(after.sample(3)[0], samples)
    assert after.get_params()["network"] is None
    with pytest.raises(InvalidInputError, match="networks of your own"):
        Augmentor.load(tmp_path)


@pytest.mark.slow
def test_networks_of_ones_own_train_in_processes_of_their_own() -> None:
    one, two = (quick(model="vae", n_jobs=jobs, **own_networks()).fit(*digits()) for jobs in (1, 2))
    assert np.array_equal(one.sample(3)[0], two.sample(3)[0])


def test_a_clone_has_the_networks_too() -> None:
    twin = clone(quick(model="vae", **own_networks()))
    assert twin.fit(*digits()).sample(1)[0].shape == (2, 8, 8)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"network": "conv"}, "stand instead of network"),
        ({"decoder": None}, "needs both, one is missing"),
        ({"latent_dim": 3}, "the encoder must return"),
    ],
)
def test_networks_of_ones_own_that_do_not_fit_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        quick(**(own_networks() | settings)).fit(*digits())


# scikit-learn's conventions


def test_parameters_are_stored_as_given_and_cloned() -> None:
    settings = {"model": "vae", "sampler": "prior", "latent_dim": 3, "bandwidth": 0.5, "random_state": 4}
    augmentor = Augmentor(**settings)
    assert {name: augmentor.get_params()[name] for name in settings} == settings
    twin = clone(augmentor)
    assert twin.get_params() == augmentor.get_params()
    twin.set_params(latent_dim=5)
    assert (twin.latent_dim, augmentor.latent_dim) == (5, 3)
    with pytest.raises(ValueError, match="Invalid parameter"):
        twin.set_params(no_such_parameter=1)


def test_fitting_again_forgets_the_first_data() -> None:
    data, labels = digits()
    augmentor = quick(model="vae").fit(data, labels).fit(data[:, :4, :3], labels + 5)
    assert augmentor.classes_.tolist() == [5, 6]
    assert augmentor.sample(1)[0].shape == (2, 4, 3)


# files


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sampler": "walk", "inverse_temperature": 1.5},
        {"inverse_temperature": 2.0},
        {"model": "vae"},
        {"latent_dim": 3, "bandwidth": 1.2, "regularization": 0.01, "likelihood": "gaussian"},
        {"model": "vamp"},
        {"model": "hvae", "likelihood": "gaussian-learned", "learning_rate": 0.01},
        {"preset": "conditional", "sharing": "always"},
        {"network": "conv", "patience": 2, "training_batch_size": 5},
    ],
    ids=["default", "walk", "squared", "vae", "overrides", "vamp", "hvae", "shared", "conv"],
)
@pytest.mark.usefixtures("unchecked")
def test_a_saved_augmentor_gives_the_same_samples(tmp_path: Path, settings: dict) -> None:
    before = quick(**settings).fit(*digits())
    before.save(tmp_path)
    after = Augmentor.load(tmp_path)
    for one, two in zip(before.sample({0: 9}), after.sample({0: 9}), strict=True):
        assert np.array_equal(one, two)
    # all but how many processes train, which is the machine's business, and what "auto" came to
    expected = before.get_params() | {"preset": before.generators_.config.preset}
    assert after.get_params() | {"n_jobs": 1} == expected
    assert expected["preset"] in ("paper", "conditional")
    assert after.generators_.data_fingerprint == before.generators_.data_fingerprint


# dimensions, samplers, small and strange data


@pytest.mark.parametrize("latent_dim", [1, 3, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sampler", ["mixture", "walk", "walk-paper", "prior"])
@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore::riemaug.estimator_warnings.SamplerConvergenceWarning")
def test_all_samplers_in_other_dimensions(latent_dim: int, sampler: str) -> None:
    augmentor = models_of(latent_dim).set_params(sampler=sampler)
    samples, labels = augmentor.sample({1: 3})
    assert samples.shape == (3, 8, 8)
    assert labels.tolist() == [1, 1, 1]
    assert len(np.unique(samples.reshape(3, -1), axis=0)) > 1


_MODELS: dict[int, Augmentor] = {}


def models_of(latent_dim: int) -> Augmentor:
    if latent_dim not in _MODELS:
        _MODELS[latent_dim] = quick(latent_dim=latent_dim).fit(*digits())
    return _MODELS[latent_dim]


@pytest.mark.parametrize("sampler", ["mixture", "walk"])
@pytest.mark.usefixtures("unchecked")
def test_two_samples_a_class_are_enough(sampler: str) -> None:
    data, labels = digits()
    few = np.r_[0:2, PER_CLASS : PER_CLASS + 2]
    samples, _ = quick(sampler=sampler).fit(data[few], labels[few]).sample({0: 4})
    assert samples.shape == (4, 8, 8)


def test_many_identical_samples_are_taken() -> None:
    data, labels = digits()
    data[: PER_CLASS - 1] = data[0]
    augmentor = quick(max_epochs=10).fit(data, labels)
    samples, _ = augmentor.sample(20)
    assert samples.shape == (40, 8, 8)
    assert all(np.isfinite(item.history.elbo).all() for item in augmentor.generators_.classes)


def test_one_class_alone_is_taken() -> None:
    data, labels = digits()
    samples, drawn = quick().fit(data[:PER_CLASS], labels[:PER_CLASS]).sample(3)
    assert (samples.shape, drawn.tolist()) == ((3, 8, 8), [0, 0, 0])
