"""Latent variable models over data scaled to [0, 1]."""

from riemaug.models.base import LatentModel as LatentModel
from riemaug.models.base import Objective as Objective
from riemaug.models.base import Posterior as Posterior
from riemaug.models.condition import Condition as Condition
from riemaug.models.condition import class_condition as class_condition
from riemaug.models.config import ModelConfig as ModelConfig
from riemaug.models.config import ModelKind as ModelKind
from riemaug.models.config import conv_model as conv_model
from riemaug.models.config import paper_model as paper_model
from riemaug.models.factory import build_model as build_model
from riemaug.models.hvae import HVAE as HVAE
from riemaug.models.rhvae import RHVAE as RHVAE
from riemaug.models.vae import VAE as VAE
from riemaug.models.vamp import VAMP as VAMP
