"""Fitting a latent variable model to the samples of one class."""

from riemaug.training.config import TrainingConfig as TrainingConfig
from riemaug.training.config import paper_training as paper_training
from riemaug.training.loop import EpochReport as EpochReport
from riemaug.training.loop import Trainer as Trainer
from riemaug.training.state import History as History
