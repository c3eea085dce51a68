"""Latent variable models over data scaled to [0, 1]."""

from riemaug.models.base import LatentModel as LatentModel
from riemaug.models.base import Objective as Objective
from riemaug.models.base import Posterior as Posterior
from riemaug.models.condition import Condition as Condition
from riemaug.models.condition import class_condition as class_condition
from riemaug.models.config import ModelConfig as ModelConfig
from riemaug.models.config import ModelKind as ModelKind
from riemaug.models.config import paper_model as paper_model
from riemaug.models.rhvae import RHVAE as RHVAE
from riemaug.models.vae import VAE as VAE
from riemaug.random import Stream


def build_model(config: ModelConfig, random_state: int | Stream = 0) -> LatentModel:
    """Return a new model of the configured kind, its weights drawn from `random_state`."""
    return RHVAE(config, random_state) if config.kind == "rhvae" else VAE(config, random_state)
