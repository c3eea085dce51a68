"""Runs pythae's RHVAESampler on a metric file; started by an interpreter that has pythae, not riemaug.

    PEERS_PYTHON peers.py METRIC.npz DRAWS.npy --chains 1000 --timing-steps 5 --repeats 3

Drives the installed package as its users would after training: an RHVAE whose stored matrices and centroids
are those of the file, and the package's own functions for G and G^-1. All settings of the sampler are its
defaults, and only the latent chains are timed, not the decoder. Writes the draws and prints one JSON line.
"""

import argparse
import json
import logging
import time
from importlib.metadata import version

import numpy as np
import torch


def build_model(path: str):
    """Return pythae's RHVAE with the metric of the file, float32."""
    from pythae.models import RHVAE, RHVAEConfig  # pyright: ignore
    from pythae.models.rhvae.rhvae_utils import create_inverse_metric, create_metric  # pyright: ignore

    with np.load(path, allow_pickle=False) as file:
        centroids, factors = (torch.from_numpy(file[name]) for name in ("centroids", "factors"))
        bandwidth, regularization = float(file["bandwidth"]), float(file["regularization"])
    config = RHVAEConfig(
        input_dim=(1, 8, 8),
        latent_dim=centroids.shape[1],
        temperature=bandwidth,
        regularization=regularization,
    )
    model = RHVAE(config)
    model.M_tens = (factors @ factors.mT).float()
    model.centroids_tens = centroids.float()
    model.G, model.G_inv = create_metric(model), create_inverse_metric(model)
    return model


def worst_metric_error(model, path: str) -> float:
    """Return the largest relative error of the package's G^-1 at the centroids, against float64."""
    with np.load(path, allow_pickle=False) as file:
        centroids, factors = torch.from_numpy(file["centroids"]), torch.from_numpy(file["factors"])
        bandwidth, regularization = float(file["bandwidth"]), float(file["regularization"])
    weights = torch.exp(-torch.cdist(centroids, centroids).square() / bandwidth**2)
    kernels = factors @ factors.mT
    exact = (weights @ kernels.flatten(1)).unflatten(1, kernels.shape[1:])
    exact = exact + regularization * torch.eye(kernels.shape[1], dtype=kernels.dtype)
    with torch.no_grad():
        own = model.G_inv(centroids.float()).double()
    return float(((own - exact).abs().amax((1, 2)) / exact.abs().amax((1, 2))).max())


def run_chains(model, num_chains: int, num_steps: int | None) -> tuple[torch.Tensor, float, int]:
    """Return the last states of a batch of chains, the time, and the number of steps (None: the default)."""
    from pythae.samplers import RHVAESampler, RHVAESamplerConfig  # pyright: ignore

    config = RHVAESamplerConfig() if num_steps is None else RHVAESamplerConfig(mcmc_steps_nbr=num_steps)
    sampler = RHVAESampler(model, config)
    started = time.process_time()
    points = sampler.hmc_sampling(num_chains)
    return points, time.process_time() - started, config.mcmc_steps_nbr


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("metric")
    parser.add_argument("draws")
    parser.add_argument("--chains", type=int, default=1000)
    parser.add_argument("--timing-steps", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batches", type=int, default=1, help="full runs, each of all chains; 0 only times")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)  # the package draws from the global generator
    logging.disable(logging.INFO)
    model = build_model(arguments.metric)
    steps = arguments.timing_steps
    short = [run_chains(model, arguments.chains, steps)[1] / steps for _ in range(arguments.repeats + 1)]
    result = {
        "versions": {name: version(name) for name in ("pythae", "torch", "numpy")},
        "worst_relative_metric_error": worst_metric_error(model, arguments.metric),
        "seconds_a_step": min(short[1:]),
    }
    full_runs = [run_chains(model, arguments.chains, None) for _ in range(arguments.batches)]
    if full_runs:
        seconds, full = min(run[1] for run in full_runs), full_runs[0][2]
        np.save(arguments.draws, torch.cat([run[0] for run in full_runs]).double().numpy())
        result["full_run_seconds"] = seconds
        result["seconds_a_step"] = min(result["seconds_a_step"], seconds / full)
        result["steps"] = full
    print(json.dumps(result))


if __name__ == "__main__":
    main()
