"""Trains pythae's VAE or RHVAE on one file of images; started by an interpreter that has pythae.

    PEERS_PYTHON peers.py TRAIN.npy WEIGHTS.npz --kind rhvae --epochs 250 --every 10 --seed 0

Drives the installed package as its users would: its own trainer, Adam, all images in one batch. The networks
are those of riemaug's "paper" preset, given as its users give networks of their own, and so are the
constants. Writes encoder and decoder after every few epochs as plain arrays under riemaug's names, those of
each weight stacked, and prints one JSON line.
"""

import argparse
import json
import logging
import tempfile
import time
from importlib.metadata import version

import numpy as np
import torch
from pythae.data.datasets import BaseDataset  # pyright: ignore
from pythae.models import RHVAE, VAE, RHVAEConfig, VAEConfig  # pyright: ignore
from pythae.models.base.base_utils import ModelOutput  # pyright: ignore
from pythae.models.nn import BaseDecoder, BaseEncoder, BaseMetric  # pyright: ignore
from pythae.trainers import BaseTrainer, BaseTrainerConfig  # pyright: ignore
from pythae.trainers.training_callbacks import TrainingCallback  # pyright: ignore
from torch import nn

WIDTH, LATENT_DIM = 400, 2


class Encoder(BaseEncoder):
    """D to 400 to two heads."""

    def __init__(self, data_dim: int) -> None:
        super().__init__()
        self.latent_dim = LATENT_DIM
        self.hidden = nn.Linear(data_dim, WIDTH)
        self.mean, self.log_variance = nn.Linear(WIDTH, LATENT_DIM), nn.Linear(WIDTH, LATENT_DIM)

    def forward(self, x: torch.Tensor) -> ModelOutput:
        """Return mean and log-variance under the package's names."""
        read = torch.relu(self.hidden(x.flatten(1)))
        return ModelOutput(embedding=self.mean(read), log_covariance=self.log_variance(read))


class Decoder(BaseDecoder):
    """d to 400 to D probabilities."""

    def __init__(self, data_dim: int) -> None:
        super().__init__()
        self.hidden, self.logits = nn.Linear(LATENT_DIM, WIDTH), nn.Linear(WIDTH, data_dim)

    def forward(self, z: torch.Tensor) -> ModelOutput:
        """Return the reconstruction in [0, 1]."""
        return ModelOutput(reconstruction=torch.sigmoid(self.logits(torch.relu(self.hidden(z)))))


class Metric(BaseMetric):
    """D to 400 to a lower-triangular matrix, its diagonal positive by exp."""

    def __init__(self, data_dim: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(data_dim, WIDTH)
        self.diagonal, self.below = nn.Linear(WIDTH, LATENT_DIM), nn.Linear(WIDTH, 1)

    def forward(self, x: torch.Tensor) -> ModelOutput:
        """Return L."""
        read = torch.relu(self.hidden(x.flatten(1)))
        factors = torch.diag_embed(self.diagonal(read).exp())
        rows = torch.zeros_like(factors)
        rows[:, 1, 0] = 1.0
        return ModelOutput(L=factors + rows * self.below(read)[:, :, None])


def build(kind: str, data_dim: int) -> nn.Module:
    """Return the package's model with the paper's constants (Table 4)."""
    shared = {
        "input_dim": (data_dim,),
        "latent_dim": LATENT_DIM,
        "reconstruction_loss": "bce",
        "uses_default_encoder": False,
        "uses_default_decoder": False,
    }
    encoder, decoder = Encoder(data_dim), Decoder(data_dim)
    if kind == "vae":
        return VAE(VAEConfig(**shared), encoder=encoder, decoder=decoder)
    config = RHVAEConfig(**shared, n_lf=3, eps_lf=1e-2, beta_zero=0.3, temperature=0.8, regularization=1e-3)
    return RHVAE(config, encoder=encoder, decoder=decoder, metric=Metric(data_dim))


class Keeper(TrainingCallback):
    """Keeps the weights after every few epochs; the trainer moves the model that it was given."""

    def __init__(self, model: nn.Module, every: int) -> None:
        self.model, self.every, self.epoch, self.kept = model, every, 0, []

    def on_epoch_end(self, training_config: BaseTrainerConfig, **kwargs: object) -> None:
        """Look at the weights."""
        self.epoch += 1
        if self.epoch % self.every == 0:
            self.kept.append(weights_of(self.model))


def train(model: nn.Module, data: torch.Tensor, keeper: Keeper, epochs: int, seed: int) -> None:
    """Train the model by the package's own trainer."""
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            per_device_train_batch_size=len(data),
            learning_rate=1e-3,
            keep_best_on_train=True,
            seed=seed,
            no_cuda=True,
        )
        dataset = BaseDataset(data, torch.zeros(len(data)))
        BaseTrainer(model, dataset, training_config=config, callbacks=[keeper]).train()


def weights_of(model: nn.Module) -> dict[str, np.ndarray]:
    """Return encoder and decoder under riemaug's names."""
    names = {
        "encoder.hidden": "encoder.trunk.hidden.0",
        "encoder.mean": "encoder.mean",
        "encoder.log_variance": "encoder.log_variance",
        "decoder.hidden": "decoder.hidden.0",
        "decoder.logits": "decoder.logits",
    }
    state = model.state_dict()
    return {
        f"{ours}.{part}": state[f"{theirs}.{part}"].numpy().copy()
        for theirs, ours in names.items()
        for part in ("weight", "bias")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("weights")
    parser.add_argument("--kind", choices=("vae", "rhvae"), required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--every", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    torch.manual_seed(arguments.seed)
    data = torch.from_numpy(np.load(arguments.train, allow_pickle=False))
    model = build(arguments.kind, data.shape[1])
    keeper = Keeper(model, arguments.every)
    started = time.perf_counter()
    train(model, data, keeper, arguments.epochs, arguments.seed)
    seconds = time.perf_counter() - started
    np.savez(arguments.weights, **{name: np.stack([w[name] for w in keeper.kept]) for name in keeper.kept[0]})
    versions = {name: version(name) for name in ("pythae", "torch", "numpy")}
    print(json.dumps({"seconds": seconds, "versions": versions}))


if __name__ == "__main__":
    main()
