"""Data sets in and out: reading, scaling, writing, and the tables that go with the samples."""

from riemaug.data.dataset import Dataset as Dataset
from riemaug.data.dataset import SampleFormat as SampleFormat
from riemaug.data.leaks import Leak as Leak
from riemaug.data.leaks import check_no_leak as check_no_leak
from riemaug.data.leaks import find_leaks as find_leaks
from riemaug.data.manifest import ManifestRow as ManifestRow
from riemaug.data.manifest import read_manifest as read_manifest
from riemaug.data.manifest import write_manifest as write_manifest
from riemaug.data.manifest import write_metadata as write_metadata
from riemaug.data.names import check_class_names as check_class_names
from riemaug.data.names import file_inside as file_inside
from riemaug.data.nifti import upright_samples as upright_samples
from riemaug.data.output import check_output_folder as check_output_folder
from riemaug.data.output import prepare_output as prepare_output
from riemaug.data.reading import read_dataset as read_dataset
from riemaug.data.real_files import include_real as include_real
from riemaug.data.resampling import restore_samples as restore_samples
from riemaug.data.scaling import RangeScaler as RangeScaler
from riemaug.data.splits import PARTS as PARTS
from riemaug.data.splits import Shares as Shares
from riemaug.data.splits import assign_parts as assign_parts
from riemaug.data.table_files import write_table as write_table
from riemaug.data.table_plan import TablePlan as TablePlan
from riemaug.data.writing import write_arrays as write_arrays
from riemaug.data.writing import write_class_files as write_class_files
from riemaug.data.writing import write_sample as write_sample
