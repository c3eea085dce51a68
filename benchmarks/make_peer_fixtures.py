"""Train tiny models with pythae and pyraug; keep their folders and their own numbers as test fixtures.

    python benchmarks/make_peer_fixtures.py tests/fixtures/peers

runs in an environment that has pythae 0.1.2 and pyraug 0.0.6 (and not riemaug, which it never imports):
the folders are what those packages write, and `expected.json` beside each holds what they compute. The
training data are digits of scikit-learn, averaged to 4 x 4 so that the default networks stay small; what
is kept of them is weights alone, and the inputs of `expected.json` are drawn at random.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

NUM_TRAINED, NUM_EPOCHS, LATENT_DIM, SIDE = 40, 5, 2, 4
BETA_ZERO, TEMPERATURE, REGULARIZATION = 0.3, 0.8, 0.01


def small_digits(digit: int) -> np.ndarray:
    """Return images of a digit, averaged to (n, 1, 4, 4), float32 in [0, 1]."""
    images, labels = load_digits(return_X_y=True)
    chosen = images[labels == digit][:NUM_TRAINED].reshape(-1, SIDE, 2, SIDE, 2) / 16.0
    return chosen.mean((2, 4)).astype(np.float32)[:, None]


def train_pythae(kind: str, data: np.ndarray, folder: Path, loss: str) -> None:
    """Train a model of pythae with its default networks by its own pipeline; copy its `final_model`."""
    from pythae.models import RHVAE, VAE, RHVAEConfig, VAEConfig
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    shared = {"input_dim": data.shape[1:], "latent_dim": LATENT_DIM, "reconstruction_loss": loss}
    if kind == "rhvae":
        metric = {"temperature": TEMPERATURE, "regularization": REGULARIZATION, "beta_zero": BETA_ZERO}
        model = RHVAE(RHVAEConfig(**shared, **metric))
    else:
        model = VAE(VAEConfig(**shared))
    with tempfile.TemporaryDirectory() as place:
        config = BaseTrainerConfig(
            output_dir=place, num_epochs=NUM_EPOCHS, per_device_train_batch_size=NUM_TRAINED, no_cuda=True
        )
        TrainingPipeline(training_config=config, model=model)(train_data=data)
        keep(newest_model(Path(place)), folder)
    write_expected(type(model).load_from_folder(str(folder)), data.shape[1:], folder)


def train_pyraug(data: np.ndarray, folder: Path) -> None:
    """Train an RHVAE of pyraug with its default networks by its own pipeline; copy its `final_model`."""
    from pyraug.models import RHVAE
    from pyraug.models.rhvae import RHVAEConfig
    from pyraug.pipelines import TrainingPipeline
    from pyraug.trainers.training_config import TrainingConfig

    flat = torch.from_numpy(data.reshape(len(data), -1))
    model = RHVAE(
        RHVAEConfig(
            input_dim=flat.shape[1],
            latent_dim=LATENT_DIM,
            temperature=TEMPERATURE,
            regularization=REGULARIZATION,
            beta_zero=BETA_ZERO,
        )
    )
    with tempfile.TemporaryDirectory() as place:
        config = TrainingConfig(output_dir=place, max_epochs=NUM_EPOCHS, batch_size=NUM_TRAINED, no_cuda=True)
        TrainingPipeline(model=model, training_config=config)(flat)
        keep(newest_model(Path(place)), folder)
    write_expected(RHVAE.load_from_folder(str(folder)), flat.shape[1:], folder)


def newest_model(place: Path) -> Path:
    """Return the folder `final_model` that a pipeline left under `place`."""
    (found,) = place.rglob("final_model")
    return found


def keep(source: Path, folder: Path) -> None:
    """Copy a model folder as it is, but for the trainer's own configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("training_config.json"))


@torch.no_grad()
def write_expected(model: torch.nn.Module, input_dim: tuple[int, ...], folder: Path) -> None:
    """Write what the package itself computes with the model that it read back."""
    model.eval()
    draw = torch.Generator().manual_seed(0)
    latent = torch.randn(5, LATENT_DIM, generator=draw)
    inputs = torch.rand(5, *input_dim, generator=draw)
    encoded, decoded = model.encoder(inputs), model.decoder(latent)
    # pythae returns outputs by name, pyraug tuples and tensors
    mean, log_variance = (
        encoded if isinstance(encoded, tuple) else (encoded.embedding, encoded.log_covariance)
    )
    decoded = decoded if torch.is_tensor(decoded) else decoded.reconstruction
    expected = {
        "latent": latent,
        "decoded": decoded.reshape(5, -1),
        "inputs": inputs.reshape(5, -1),
        "posterior_mean": mean,
        "posterior_log_variance": log_variance,
    }
    if hasattr(model, "G_inv"):
        expected["cometric"] = model.G_inv(latent)
    text = json.dumps({name: value.tolist() for name, value in expected.items()})
    (folder.parent / f"{folder.name}.expected.json").write_text(text + "\n")


def main(target: Path) -> None:
    """Make all fixtures under `target`."""
    target.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    train_pythae("rhvae", small_digits(0), target / "pythae_rhvae", "bce")
    train_pythae("vae", small_digits(1), target / "pythae_vae", "mse")
    train_pyraug(small_digits(0), target / "pyraug_rhvae")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
