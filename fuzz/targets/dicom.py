"""DICOM slices."""

import io
import warnings

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless

from fuzz import scratch
from riemaug.data.dicom import exact_dtype, read_pixels, read_series_id, read_slice
from riemaug.limits import Limits

LIMITS = Limits(pixels=2**20)


def target(data: bytes) -> None:
    """Read the bytes as one slice, with its pixels."""
    path = scratch.folder("dicom") / "x.dcm"
    path.write_bytes(data)
    with warnings.catch_warnings(action="ignore"):
        if read_series_id(path) is None:
            return
        found = read_slice(path, LIMITS)
        pixels = read_pixels(path, found, exact_dtype([found]))
    assert pixels.shape == (found.rows, found.columns)
    assert np.isfinite(pixels).all()


def seeds() -> dict[str, bytes]:
    """Return a slice with plain pixels and one with run lengths."""
    found = {}
    for name, syntax in (("plain", ExplicitVRLittleEndian), ("runs", RLELossless)):
        item = Dataset()
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.file_meta.MediaStorageSOPClassUID = item.SOPClassUID = CTImageStorage
        item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID = "1.2.3"
        item.SeriesInstanceUID, item.Rows, item.Columns = "1.2", 3, 4
        item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
        item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 16, 12, 11, 0
        item.RescaleSlope, item.RescaleIntercept, item.PixelSpacing = "2", "-5", ["1.5", "2"]
        item.ImagePositionPatient, item.ImageOrientationPatient = ["0", "0", "1"], list("100010")
        item.PixelData = np.arange(12, dtype=np.uint16).tobytes()
        if syntax == RLELossless:
            item.compress(syntax, generate_instance_uid=False)
        file = io.BytesIO()
        item.save_as(file, enforce_file_format=True)
        found[name] = file.getvalue()
    return found
