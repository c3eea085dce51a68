"""Model folders in the format of pythae, made here with weights of any size."""

import json
from pathlib import Path
from typing import Any

import torch

PEERS = Path(__file__).parents[2] / "fixtures" / "peers"
"""Folders that pythae and pyraug themselves wrote; see benchmarks/make_peer_fixtures.py."""
WIDTH, NUM_CENTROIDS = 6, 5


def linear(inputs: int, outputs: int, draw: torch.Generator) -> dict[str, torch.Tensor]:
    """Return the weights of a dense layer."""
    return {
        "weight": torch.randn(outputs, inputs, generator=draw),
        "bias": torch.randn(outputs, generator=draw),
    }


def state_of(input_dim: tuple[int, ...], latent_dim: int) -> dict[str, torch.Tensor]:
    """Return a state such as pythae keeps of an RHVAE with its default networks, but narrow."""
    draw, size = torch.Generator().manual_seed(1), int(torch.tensor(input_dim).prod())
    layers = {
        "encoder.layers.0.0": (size, WIDTH),
        "encoder.embedding": (WIDTH, latent_dim),
        "encoder.log_var": (WIDTH, latent_dim),
        "decoder.layers.0.0": (latent_dim, WIDTH),
        "decoder.layers.1.0": (WIDTH, size),
        "metric.layers.0": (size, WIDTH),
        "metric.diag": (WIDTH, latent_dim),
        "metric.lower": (WIDTH, latent_dim * (latent_dim - 1) // 2),
    }
    state = {
        f"{name}.{which}": value
        for name, (inputs, outputs) in layers.items()
        for which, value in linear(inputs, outputs, draw).items()
    }
    constants = {"temperature": 0.8, "lbd": 0.01, "beta_zero_sqrt": 0.3}
    return state | {name: torch.tensor([value]) for name, value in constants.items()}


def save_peer(
    folder: Path,
    shape: tuple[int, ...] = (1, 2, 2),
    dim: int = 2,
    content: dict[str, Any] | None = None,
    **config: Any,
) -> Path:
    """Write a model folder; `content` and `config` replace parts of it."""
    draw = torch.Generator().manual_seed(2)
    factors = torch.randn(NUM_CENTROIDS, dim, dim, generator=draw).tril()
    whole = {
        "M": factors @ factors.mT,
        "centroids": torch.randn(NUM_CENTROIDS, dim, generator=draw),
        "model_state_dict": state_of(shape, dim),
    }
    fields = {
        "name": "RHVAEConfig",
        "input_dim": list(shape),
        "latent_dim": dim,
        "reconstruction_loss": "mse",
        **{f"uses_default_{part}": True for part in ("encoder", "decoder", "metric")},
        **{"n_lf": 3, "eps_lf": 0.001, "beta_zero": 0.3, "temperature": 0.8, "regularization": 0.01},
    }
    folder.mkdir(parents=True)
    torch.save(whole | (content or {}), folder / "model.pt")
    (folder / "model_config.json").write_text(json.dumps(fields | config))
    return folder
