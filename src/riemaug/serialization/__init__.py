"""Fitted generators on disk: a folder of tensors and JSON that holds no code."""

from riemaug.serialization.card import CARD_NAME as CARD_NAME
from riemaug.serialization.folder import DESCRIPTION_NAME as DESCRIPTION_NAME
from riemaug.serialization.folder import FORMAT_VERSION as FORMAT_VERSION
from riemaug.serialization.folder import UNKNOWN_DATA as UNKNOWN_DATA
from riemaug.serialization.folder import WEIGHTS_NAME as WEIGHTS_NAME
from riemaug.serialization.folder import class_entries as class_entries
from riemaug.serialization.folder import load_generators as load_generators
from riemaug.serialization.folder import read_description as read_description
from riemaug.serialization.folder import save_generators as save_generators
from riemaug.serialization.generators import FittedGenerators as FittedGenerators
from riemaug.serialization.generators import classes_by_model as classes_by_model
from riemaug.serialization.model import model_description as model_description
from riemaug.serialization.model import model_tensors as model_tensors
from riemaug.serialization.model import restore_model as restore_model
from riemaug.serialization.tensor_files import file_hash as file_hash
from riemaug.serialization.tensor_files import read_tensors as read_tensors
from riemaug.serialization.tensor_files import write_tensors as write_tensors
