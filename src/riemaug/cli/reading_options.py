"""The options of commands that read data: how the files of DATA are to be read, each worded once."""

from pathlib import Path
from typing import Annotated

import typer

_DATA = "Data"

Data = Annotated[
    Path,
    typer.Argument(
        help="A folder with one sub-folder of images, volumes or DICOM series per class, a BIDS folder, "
        "a folder with metadata.csv, an .npz file, or a .csv, .tsv or .parquet table.",
        show_default=False,
    ),
]
Resize = Annotated[
    str | None,
    typer.Option(help="Bring all images to HxW, e.g. 64x64.", metavar="HxW", rich_help_panel=_DATA),
]
FitShape = Annotated[
    str | None,
    typer.Option(
        help="Model images or volumes at these sides, e.g. 46x55x46; new ones have the input's own.",
        metavar="HxW|XxYxZ",
        rich_help_panel=_DATA,
    ),
]
Resample = Annotated[
    bool,
    typer.Option(
        "--resample",
        help="Bring volumes of different grids to the one that most have, by their affines, linearly.",
        rich_help_panel=_DATA,
    ),
]
BidsSuffix = Annotated[
    str | None,
    typer.Option(
        help="Of a BIDS folder: which volumes to read, by the end of their names, e.g. T1w or "
        "desc-preproc_T1w, or some of their parts, e.g. space-MNI152NLin6Asym_T1w.",
        metavar="SUFFIX",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Participants = Annotated[
    Path | None,
    typer.Option(
        help="Of a BIDS folder: the participants.tsv that tells the classes, where it has none of its own.",
        metavar="PATH",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
MinSlices = Annotated[
    int | None,
    typer.Option(
        help="Of DICOM: leave out series of fewer slices, such as localizers.",
        metavar="N",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Nan = Annotated[
    float | None,
    typer.Option(
        "--nan",
        help="Of NIfTI volumes: take voxels that are NaN for this value, e.g. 0 for an empty background.",
        metavar="VALUE",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Pad = Annotated[
    bool, typer.Option("--pad", help="Centre smaller images in the largest size.", rich_help_panel=_DATA)
]
Crop = Annotated[
    bool, typer.Option("--crop", help="Cut the centre of the smallest size.", rich_help_panel=_DATA)
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out files that cannot be read.", rich_help_panel=_DATA)
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        help="Of a folder: read only files that PATTERN fits, e.g. '*_t1.nii.gz', or with a slash their "
        "paths, e.g. 'cat/*'; repeatable.",
        metavar="PATTERN",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        help="Of a folder: leave out files that PATTERN fits, e.g. '*_mask.png'; repeatable.",
        metavar="PATTERN",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
GroupFrom = Annotated[
    str | None,
    typer.Option(
        help="How to tell the subject of an image: folder (the first below the class; of metadata.csv the "
        "first that not all files lie in), column (group of metadata.csv), another COLUMN "
        "of it by its name, or a REGEX with one group, searched in the path; written to metadata.csv with "
        "--include-real. Of a table: the name of a column, which is not modelled.",
        metavar="folder|COLUMN|REGEX",
        rich_help_panel=_DATA,
    ),
]
LabelFrom = Annotated[
    str | None,
    typer.Option(
        help="Column of a table, a metadata.csv or a BIDS folder's participants.tsv that holds the labels; "
        "by default of a table the one called label, class, target or y, of metadata.csv label, of BIDS "
        "group, diagnosis, label, class or dx.",
        metavar="COLUMN",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
DropColumns = Annotated[
    str | None,
    typer.Option(
        help="Columns of a table to leave out, such as identifiers, with commas between them.",
        metavar="COLUMN,COLUMN",
        rich_help_panel=_DATA,
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        help="Text of a CSV table's cells that are missing, in place of NA, NaN, None, null and the like; "
        "repeatable. Empty cells always are: '' takes only these for missing.",
        metavar="TEXT",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        help="How large a file may be, e.g. pixels=500M: pixels of an image or voxels of a volume, pages of "
        "a TIFF, bytes of an npz or table, columns of a table, text-bytes of a metadata.csv; repeatable.",
        metavar="NAME=NUMBER",
        rich_help_panel=_DATA,
        show_default=False,
    ),
]
FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links",
        help="Follow links to folders outside the data folder, too.",
        rich_help_panel=_DATA,
    ),
]
