"""Models of pythae and pyraug come over number for number, and are saved and sampled as any other."""

import json
import shutil

import numpy as np
import pytest
import torch
from peer_files import NUM_CENTROIDS, PEERS, WIDTH, save_peer, state_of
from torch import nn

from riemaug import Augmentor
from riemaug.config import SamplingConfig
from riemaug.errors import InvalidInputError
from riemaug.importing import import_models, write_imported
from riemaug.models import RHVAE
from riemaug.serialization import load_generators, save_generators

FOLDERS = ("pythae_rhvae", "pythae_vae", "pyraug_rhvae")


def expected(name):
    """Return what the peer itself computed, float32 tensors by name."""
    told = json.loads((PEERS / f"{name}.expected.json").read_text())
    return {key: torch.tensor(value) for key, value in told.items()}


@pytest.mark.parametrize("name", FOLDERS)
def test_networks_give_the_peers_own_numbers(name):
    item, peer = import_models({"a": PEERS / name}).classes[0], expected(name)
    torch.testing.assert_close(item.decode(peer["latent"]), peer["decoded"], rtol=0, atol=1e-6)
    with torch.no_grad():
        posterior = item.model.encode(peer["inputs"])
    torch.testing.assert_close(posterior.mean, peer["posterior_mean"], rtol=0, atol=1e-5)
    torch.testing.assert_close(posterior.log_variance, peer["posterior_log_variance"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["pythae_rhvae", "pyraug_rhvae"])
def test_the_metric_gives_the_peers_own_numbers(name):
    item, peer = import_models({"a": PEERS / name}).classes[0], expected(name)
    found = item.metric.cometric_matrix(peer["latent"].double())
    torch.testing.assert_close(found, peer["cometric"].double(), rtol=1e-5, atol=1e-5)
    # the fixture looks where kernels count, so that a wrong bandwidth or matrix would be seen
    assert peer["cometric"].max() > 10 * item.metric.regularization


def test_constants_come_over_under_our_names():
    model = import_models({"a": PEERS / "pythae_rhvae"}).classes[0].model
    assert isinstance(model, RHVAE)
    config = model.config
    assert (config.bandwidth, config.regularization, config.likelihood) == (0.8, 0.01, "bernoulli")
    assert (config.num_leapfrog_steps, config.leapfrog_step_size) == (3, 0.001)
    assert config.initial_inverse_temperature == pytest.approx(0.09)  # the peer keeps its root
    vae = import_models({"a": PEERS / "pythae_vae"}).classes[0].model.config
    assert (vae.kind, vae.likelihood, vae.likelihood_scale) == ("vae", "gaussian", 1.0)


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_saved_loads_and_draws_the_same(name, tmp_path):
    imported = import_models({"a": PEERS / name})
    save_generators(tmp_path / "model", imported)
    loaded = load_generators(tmp_path / "model")
    points = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(imported.classes[0].decode(points), loaded.classes[0].decode(points))
    config = SamplingConfig(seed=5)
    draws = [
        kept.classes[0].sampler(config).sample(6, kept.classes[0].draw_stream(5)).points
        for kept in (imported, loaded)
    ]
    assert torch.equal(*draws)


def test_an_augmentor_takes_it(tmp_path):
    record = write_imported(
        {"no": PEERS / "pythae_rhvae", "yes": PEERS / "pyraug_rhvae"}, tmp_path / "model", shape=(4, 4)
    )
    assert [item["library"] for item in record["imported"]] == ["pythae", "pyraug"]
    samples, labels = Augmentor.load(tmp_path / "model").sample(7)
    assert (samples.shape, samples.dtype) == ((14, 4, 4), np.float32)
    assert 0.0 <= samples.min() < samples.max() <= 1.0
    assert labels.tolist() == ["no"] * 7 + ["yes"] * 7
    assert json.loads((tmp_path / "model" / "run.json").read_text()) == record


def test_the_folder_of_a_training_leads_to_its_final_model(tmp_path):
    shutil.copytree(PEERS / "pythae_vae", tmp_path / "VAE_training" / "final_model")
    assert import_models({"a": tmp_path / "VAE_training"}).class_names == ("a",)


def test_colours_go_last_in_images(tmp_path):
    folder = save_peer(tmp_path / "peer", (3, 2, 5))
    points = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    arrays, images = (import_models({"a": folder}, output).classes[0] for output in ("arrays", "png"))
    first = arrays.decode(points).reshape(4, 3, 2, 5)
    last = images.decode(points).reshape(4, 2, 5, 3)
    assert torch.equal(first.permute(0, 2, 3, 1), last)
    moved = first.permute(0, 2, 3, 1).reshape(4, -1)
    with torch.no_grad():
        torch.testing.assert_close(images.model.embed(moved), arrays.model.embed(first.reshape(4, -1)))


@pytest.mark.parametrize("latent_dim", [1, 3])
def test_other_latent_dimensions(tmp_path, latent_dim):
    item = import_models({"a": save_peer(tmp_path / "peer", dim=latent_dim)}).classes[0]
    assert item.metric is not None
    assert item.metric.centroids.shape == (NUM_CENTROIDS, latent_dim)
    assert bool((item.metric.factors == item.metric.factors.tril()).all())


def test_singular_matrices_are_factored(tmp_path):
    direction = torch.tensor([[0.6, 0.8]]).mT
    matrices = (direction @ direction.mT).expand(NUM_CENTROIDS, 2, 2).contiguous()
    item = import_models({"a": save_peer(tmp_path / "peer", content={"M": matrices})}).classes[0]
    factors = item.metric.factors
    torch.testing.assert_close(factors @ factors.mT, matrices.double(), rtol=0, atol=1e-7)


class OwnEncoder(nn.Module):
    """Networks of a user's own, with the names that pythae kept them under."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, WIDTH)
        self.mean, self.spread = nn.Linear(WIDTH, 2), nn.Linear(WIDTH, 2)

    def forward(self, x):
        read = torch.tanh(self.body(x.flatten(1)))
        return self.mean(read), self.spread(read)


class OwnDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 4)

    def forward(self, z):
        return self.body(z).reshape(-1, 1, 2, 2)


def own_folder(tmp_path, encoder, decoder):
    kept = {k: v for k, v in state_of((1, 2, 2), 2).items() if k.split(".")[0] not in ("encoder", "decoder")}
    for part, module in (("encoder", encoder), ("decoder", decoder)):
        kept |= {f"{part}.{key}": value for key, value in module.state_dict().items()}
    return save_peer(
        tmp_path / "peer",
        content={"model_state_dict": kept},
        uses_default_encoder=False,
        uses_default_decoder=False,
    )


def test_networks_of_ones_own_are_filled_from_the_folder(tmp_path):
    encoder, decoder = OwnEncoder(), OwnDecoder()
    folder = own_folder(tmp_path, encoder, decoder)
    item = import_models({"a": folder}, encoder=OwnEncoder(), decoder=OwnDecoder()).classes[0]
    points = torch.randn(3, 2)
    with torch.no_grad():
        torch.testing.assert_close(item.decode(points), torch.sigmoid(decoder(points)).flatten(1))
    with pytest.raises(InvalidInputError, match="never opened: import it in Python .* encoder="):
        import_models({"a": folder})
    with pytest.raises(InvalidInputError, match="must have the weights that its folder holds"):
        import_models({"a": folder}, encoder=OwnEncoder(), decoder=nn.Linear(2, 4))


def test_networks_are_not_wanted_for_the_default_ones():
    with pytest.raises(InvalidInputError, match="leave them out"):
        import_models({"a": PEERS / "pythae_vae"}, encoder=OwnEncoder(), decoder=OwnDecoder())


def test_a_metric_network_of_ones_own_needs_only_the_stored_metric(tmp_path):
    kept = {k: v for k, v in state_of((1, 2, 2), 2).items() if not k.startswith("metric.")}
    kept["metric.own.weight"] = torch.zeros(3)
    folder = save_peer(tmp_path / "peer", content={"model_state_dict": kept}, uses_default_metric=False)
    usual = import_models({"a": save_peer(tmp_path / "usual")}).classes[0]
    own = import_models({"a": folder}).classes[0]
    points = torch.randn(3, 2, dtype=torch.float64)
    assert torch.equal(own.metric.cometric_matrix(points), usual.metric.cometric_matrix(points))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "BetaVAEConfig"}, "VAE and RHVAE can be imported"),
        ({"latent_dim": 3}, "must fit together"),
        ({"latent_dim": True}, "must fit together"),
        ({"input_dim": [1, 3, 3]}, "must have the weights"),
        ({"input_dim": [10**6, 10**6]}, "must have the weights"),
        ({"temperature": 0.9}, "temperature is 0.9 in the one and 0.8"),
        ({"reconstruction_loss": "l1"}, "must fit together"),
        ({"n_lf": -1}, "must fit together"),
        ({"content": {"M": torch.randn(NUM_CENTROIDS, 2, 2)}}, "symmetric and positive"),
        ({"content": {"M": torch.eye(2)[None]}}, "must fit together"),
        ({"content": {"model_state_dict": torch.zeros(3)}}, "must fit together"),
        ({"content": {"model_state_dict": {"encoder.other.weight": torch.zeros(3)}}}, "none of the default"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(tmp_path, change, told):
    folder = save_peer(tmp_path / "peer", **change)
    with pytest.raises(InvalidInputError, match=told):
        import_models({"a": folder})


def test_models_that_do_not_go_together_are_refused():
    for pair, told in (
        ({"a": PEERS / "pythae_rhvae", "b": PEERS / "pythae_vae"}, "one kind"),
        ({"a": PEERS / "pythae_rhvae", "b": PEERS / "pyraug_rhvae"}, "--shape"),
        ({}, "none was given"),
        ({"a/b": PEERS / "pythae_vae"}, "class name"),
    ):
        with pytest.raises(InvalidInputError, match=told):
            import_models(pair)


@pytest.mark.parametrize(
    ("output", "shape", "told"),
    [
        ("png", None, "images need a shape"),
        ("png", (2, 2, 2, 2), "images need a shape"),
        ("arrays", (5, 5), "16 values"),
        ("jpeg", None, "one of arrays, png"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(output, shape, told):
    with pytest.raises(InvalidInputError, match=told):
        import_models({"a": PEERS / "pyraug_rhvae"}, output, shape)
