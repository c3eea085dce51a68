"""A folder of images or of volumes as a data set."""

import os
from pathlib import Path

from riemaug.data.checks import check_variation, find_oddities
from riemaug.data.dataset import Dataset
from riemaug.data.file_samples import class_names_of as class_names_of
from riemaug.data.file_samples import labels_of as labels_of
from riemaug.data.file_samples import of_each as of_each
from riemaug.data.file_samples import sort_out as sort_out
from riemaug.data.groups import find_groups
from riemaug.data.image_files import read_image_files
from riemaug.data.listing import list_class_folders
from riemaug.data.metadata_table import METADATA_NAME, list_metadata
from riemaug.data.output import check_class_names
from riemaug.data.sizes import SizeOptions
from riemaug.data.volume_files import read_volume_files


def read_folder(
    root: Path, size: SizeOptions, *, skip_bad: bool = False, group_from: str | None = None
) -> Dataset:
    """Read a folder of images or volumes; see `riemaug.data.read_dataset` for the rules and errors."""
    size.check()
    has_table = os.path.isfile(root / METADATA_NAME)
    listing = list_metadata(root) if has_table else list_class_folders(root)
    class_names = class_names_of(listing)
    check_class_names(class_names)
    labels_of(listing.files, class_names, listing.kind)
    groups, group_notes = find_groups(listing.files, group_from, listing.from_metadata)
    read = read_volume_files if listing.kind == "volumes" else read_image_files
    found = read(root, listing, size, skip_bad)
    files = [listing.files[row] for row in found.rows]
    labels = labels_of(files, class_names, listing.kind)
    names = tuple(file.name for file in files)
    check_variation(found.samples, labels, class_names, listing.kind)
    oddities = find_oddities(found.samples, labels, class_names, names, listing.kind)
    return Dataset(
        samples=found.samples,
        labels=labels,
        class_names=class_names,
        names=names,
        groups=None if groups is None else tuple(groups[row] for row in found.rows),
        format=found.format,
        label_values=None,
        notes=(*listing.notes, *group_notes, *found.notes, *oddities),
    )
