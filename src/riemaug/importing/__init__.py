"""Model folders of pythae and pyraug become ours: tensors are read, pickled code never is."""

from riemaug.importing.generators import import_models
from riemaug.importing.model_folder import write_imported

__all__ = ["import_models", "write_imported"]
