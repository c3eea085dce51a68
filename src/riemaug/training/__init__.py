"""Fitting a latent variable model to the samples of one class."""

from riemaug.training.batches import Augmentation as Augmentation
from riemaug.training.callbacks import Callback as Callback
from riemaug.training.callbacks import MLflowCallback as MLflowCallback
from riemaug.training.callbacks import TensorBoardCallback as TensorBoardCallback
from riemaug.training.config import TrainingConfig as TrainingConfig
from riemaug.training.config import paper_training as paper_training
from riemaug.training.loop import Trainer as Trainer
from riemaug.training.reports import EpochReport as EpochReport
from riemaug.training.reports import RollbackReport as RollbackReport
from riemaug.training.state import History as History
