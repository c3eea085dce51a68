"""Steps of pythae's models on request; started by an interpreter that has pythae, not riemaug.

    PEERS_PYTHON peers.py --num 40

Builds pythae's RHVAE and VAE with encoder, decoder and metric network of one hidden layer of 400 units, as
the paper has them, and its trainer's default optimiser. Each line `KIND SECONDS` on standard input is
answered by one JSON line: the processor time of each training step done in about so many seconds. A step is
what pythae's trainer does with a batch that holds all the data: forward, backward, Adam, and `update()`.
"""

import argparse
import json
import sys
import time
from importlib.metadata import version

import torch
from pythae.data.datasets import BaseDataset  # pyright: ignore
from pythae.models import RHVAE, VAE, RHVAEConfig, VAEConfig  # pyright: ignore
from pythae.models.base.base_utils import ModelOutput  # pyright: ignore
from pythae.models.nn import BaseDecoder, BaseEncoder, BaseMetric  # pyright: ignore
from torch import nn

WIDTH, LATENT_DIM, SHAPE = 400, 2, (1, 28, 28)
DATA_DIM = 28 * 28


class Encoder(BaseEncoder):
    """x to (mean, log-variance)."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(DATA_DIM, WIDTH), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(WIDTH, LATENT_DIM), nn.Linear(WIDTH, LATENT_DIM)

    def forward(self, x):
        """Return the output in the form that pythae asks for."""
        hidden = self.hidden(x.reshape(len(x), -1))
        return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_variance(hidden))


class Decoder(BaseDecoder):
    """z to the means of x."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENT_DIM, WIDTH), nn.ReLU(), nn.Linear(WIDTH, DATA_DIM), nn.Sigmoid()
        )

    def forward(self, z):
        """Return the output in the form that pythae asks for."""
        return ModelOutput(reconstruction=self.layers(z).reshape(len(z), *SHAPE))


class Metric(BaseMetric):
    """x to the lower-triangular factors."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(DATA_DIM, WIDTH), nn.ReLU())
        self.diagonal = nn.Linear(WIDTH, LATENT_DIM)
        self.below = nn.Linear(WIDTH, LATENT_DIM * (LATENT_DIM - 1) // 2)

    def forward(self, x):
        """Return the output in the form that pythae asks for."""
        hidden = self.hidden(x.reshape(len(x), -1))
        factors = torch.zeros(len(x), LATENT_DIM, LATENT_DIM)
        rows, columns = torch.tril_indices(LATENT_DIM, LATENT_DIM, -1)
        factors[:, rows, columns] = self.below(hidden)
        return ModelOutput(L=factors + torch.diag_embed(self.diagonal(hidden).exp()))


def build(kind: str):
    """Return a model of the paper's constants (Table 4)."""
    shared = {"input_dim": SHAPE, "latent_dim": LATENT_DIM, "reconstruction_loss": "bce"}
    if kind == "vae":
        return VAE(VAEConfig(**shared), encoder=Encoder(), decoder=Decoder())
    flow = {"n_lf": 3, "eps_lf": 1e-2, "beta_zero": 0.3, "temperature": 0.8, "regularization": 1e-3}
    return RHVAE(RHVAEConfig(**shared, **flow), encoder=Encoder(), decoder=Decoder(), metric=Metric())


def step(model, optimizer, batch) -> float:
    """Take one step; return its processor time."""
    started = time.process_time()
    output = model(batch, epoch=1, dataset_size=len(batch["data"]), uses_ddp=False)
    optimizer.zero_grad()
    output.loss.backward()
    optimizer.step()
    if output.loss.item() != output.loss.item():
        raise ArithmeticError("the loss is NaN")
    model.update()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num", type=int, required=True)
    num = parser.parse_args().num
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = torch.rand(num, *SHAPE)
    batch = BaseDataset(data, torch.zeros(num))[:]
    runs = {}
    for kind in ("vae", "rhvae"):
        model = build(kind).train()
        runs[kind] = model, torch.optim.Adam(model.parameters(), lr=1e-3)
    versions = {name: version(name) for name in ("pythae", "torch")}
    print(json.dumps({"versions": versions}), flush=True)
    for line in sys.stdin:
        kind, seconds = line.split()
        times, ends = [], time.perf_counter() + float(seconds)
        while len(times) < 5 or time.perf_counter() < ends:
            times.append(step(*runs[kind], batch))
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
