"""Synthetic DICOM files for the tests, made by pydicom."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

PATIENT = "DOE^JANE"
ORIGIN = np.array([-20.0, 30.0, 5.0])
ROW, COLUMN = np.array([1.0, 0, 0]), np.array([0.0, 1, 0])
SPACING = (0.5, 0.75)
STEP = 2.0


def stored_values(seed: int, shape: tuple[int, int, int] = (6, 7, 5)) -> np.ndarray:
    """Return 12-bit values (slices, rows, columns)."""
    return np.random.default_rng(seed).integers(0, 4096, shape).astype(np.uint16)


def save_slice(path: Path, pixels: np.ndarray, position: np.ndarray, series: str, **fields: object) -> Path:
    """Write one slice; further fields by their keyword, None leaves one out."""
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = CTImageStorage
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    found.SeriesInstanceUID = series
    found.PatientName, found.PatientID, found.PatientBirthDate = PATIENT, "12345678", "19500101"
    found.Modality = "CT"
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
    found.RescaleSlope, found.RescaleIntercept = 1, -1024
    found.PixelSpacing, found.SliceThickness = list(SPACING), 1.0
    found.ImagePositionPatient = [float(value) for value in position]
    found.ImageOrientationPatient = [*ROW, *COLUMN]
    found.PixelData = pixels.astype(np.uint16).tobytes()
    for name, value in fields.items():
        if value is None:
            delattr(found, name)
        else:
            setattr(found, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)
    return path


def save_series(folder: Path, values: np.ndarray, suffix: str = ".dcm", **fields: object) -> Path:
    """Write a series of slices under names whose order is not that in space."""
    series = generate_uid()
    normal = np.cross(ROW, COLUMN)
    for place, pixels in enumerate(values):
        position = ORIGIN + place * STEP * normal
        name = f"IM{(place * 5) % len(values) if len(values) == 6 else place:04d}{suffix}"
        save_slice(folder / name, pixels, position, series, **fields)
    return folder


def series_folder(root: Path, count: int = 2, **fields: object) -> Path:
    """Write the classes ill and well of `count` series each."""
    for index in range(2 * count):
        folder = root / ("ill", "well")[index % 2] / f"case{index}"
        save_series(folder, stored_values(index), **fields)
    return root
