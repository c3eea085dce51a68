"""Real and synthetic samples in PyTorch: items, labels, and the ratio of the two in batches."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from riemaug.datasets import MixedDataset, RatioSampler
from riemaug.errors import InvalidInputError


def mixed(num_real: int = 6, num_synthetic: int = 4, **settings: Any) -> MixedDataset:
    """Samples of one value: 0, 1, 2, ... the real ones, 100, 101, ... the synthetic ones."""
    real = np.arange(num_real, dtype=np.float32)[:, None]
    made = 100 + np.arange(num_synthetic, dtype=np.float32)[:, None]
    labels = np.arange(num_real) % 3, np.arange(num_synthetic) % 3
    return MixedDataset(real, labels[0], made, labels[1], **settings)


# items


def test_items_are_sample_label_and_flag_in_order() -> None:
    dataset = mixed()
    assert len(dataset) == 10
    assert [float(sample) for sample, _, _ in (dataset[i] for i in range(10))] == [
        *range(6),
        *range(100, 104),
    ]
    assert [int(dataset[i][1]) for i in range(10)] == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert [dataset[i][2] for i in range(10)] == [False] * 6 + [True] * 4
    assert dataset.is_synthetic.tolist() == [False] * 6 + [True] * 4
    assert float(dataset[-1][0]) == 103
    with pytest.raises(IndexError, match="10 samples"):
        dataset[10]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float64", ">f4", "bool"])
def test_samples_keep_shape_dtype_and_the_data_stay_untouched(dtype: str) -> None:
    data = (np.random.default_rng(0).uniform(0, 200, (3, 2, 4))).astype(dtype)
    data.flags.writeable = False
    kept = data.copy()
    dataset = MixedDataset(data, [0, 1, 0], data, [1, 1, 0])
    sample, _, _ = dataset[1]
    assert np.array_equal(sample.numpy(), data[1])
    assert sample.numpy().dtype == data.dtype.newbyteorder("=")
    sample.zero_()
    assert np.array_equal(data, kept)
    assert np.array_equal(dataset[1][0].numpy(), data[1])


def test_tensors_frames_and_memory_mapped_files_are_taken(tmp_path: Path) -> None:
    values = np.arange(8.0).reshape(4, 2)
    np.save(tmp_path / "x.npy", values)
    for data in (
        torch.from_numpy(values),
        pd.DataFrame(values, columns=["a", "b"]),
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        values.tolist(),
    ):
        dataset = MixedDataset(data, torch.tensor([0, 1, 0, 1]), values, pd.Series([1, 1, 0, 0]))
        assert dataset[2][0].tolist() == [4.0, 5.0]
        assert [int(dataset[i][1]) for i in range(8)] == [0, 1, 0, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("kind", [object, str, "S3"])
def test_text_labels_become_their_place_among_the_sorted(kind: Any) -> None:
    data = np.zeros((3, 1))
    real, made = np.array(["dog", "cat", "dog"], dtype=kind), np.array(["eel", "dog", "cat"], dtype=kind)
    dataset = MixedDataset(data, real, data, made)
    assert dataset.classes == ("cat", "dog", "eel")
    assert [int(dataset[i][1]) for i in range(6)] == [1, 0, 1, 2, 1, 0]
    assert dataset[0][1].dtype == torch.int64


def test_a_transform_is_applied_to_samples_of_both_kinds() -> None:
    dataset = mixed(transform=lambda sample: sample * 2)
    assert float(dataset[1][0]) == 2
    assert float(dataset[6][0]) == 200


def test_two_datasets_are_joined_as_they_are() -> None:
    real = TensorDataset(torch.arange(3.0), torch.tensor([0, 1, 0]), torch.zeros(3))
    made = TensorDataset(torch.arange(10.0, 12.0), torch.tensor([1, 1]))
    dataset = MixedDataset.from_datasets(real, made, transform=lambda sample: sample + 1)
    assert [tuple(map(float, dataset[i])) for i in range(5)] == [
        (1, 0, 0), (2, 1, 0), (3, 0, 0), (11, 1, 1), (12, 1, 1),
    ]  # fmt: skip
    assert dataset.classes is None


class _Folder(Dataset[Any]):
    """As torchvision's `ImageFolder`: classes sorted and numbered, one sample of each."""

    def __init__(self, *classes: str, target_transform: Any = None) -> None:
        self.classes = sorted(classes)
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        self.target_transform = target_transform

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int) -> tuple[str, int]:
        return self.classes[index], self.class_to_idx[self.classes[index]]


def test_classes_of_two_datasets_are_matched_by_name() -> None:
    real, made = _Folder("cat", "dog", "owl"), _Folder("owl", "dog")
    for part in (made, Subset(Subset(made, [0, 1]), [0, 1])):
        dataset = MixedDataset.from_datasets(real, part)
        assert dataset.classes == ("cat", "dog", "owl")
        assert [dataset[i] for i in (3, 4)] == [("dog", 1, True), ("owl", 2, True)]


class _Listed(Dataset[Any]):
    """Names its classes by their order alone; labels are tensors."""

    def __init__(self, *classes: str) -> None:
        self.classes = classes

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int) -> tuple[str, Tensor]:
        return self.classes[index], torch.tensor(index)


def test_classes_may_be_told_by_their_order_and_labels_be_tensors() -> None:
    dataset = MixedDataset.from_datasets(_Listed("owl", "cat"), _Listed("cat", "owl"))
    assert dataset.classes == ("owl", "cat")
    assert [dataset[i][:2] for i in (2, 3)] == [("cat", torch.tensor(1)), ("owl", torch.tensor(0))]


def test_numbers_of_datasets_that_name_no_classes_stay() -> None:
    real, made = TensorDataset(torch.arange(2.0), torch.tensor([0, 2])), _Folder("owl")
    dataset = MixedDataset.from_datasets(real, made)
    assert dataset.classes is None
    assert [int(dataset[i][1]) for i in range(3)] == [0, 2, 0]


def test_folders_are_read_and_their_classes_matched(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = {}
    for folder, names in (("real", ["ant", "bee"]), ("made", ["bee"])):
        for name in names:
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(2):
                pixels = rng.integers(0, 256, (4, 5), dtype=np.uint8)
                pictures[folder, name, number] = pixels
                Image.fromarray(pixels).save(tmp_path / folder / name / f"{number}.png")
    dataset = MixedDataset.from_folders(tmp_path / "real", tmp_path / "made")
    assert dataset.classes == ("ant", "bee")
    assert [(int(label), flag) for _, label, flag in (dataset[i] for i in range(6))] == [
        (0, False), (0, False), (1, False), (1, False), (1, True), (1, True),
    ]  # fmt: skip
    assert np.array_equal(dataset[5][0].numpy(), pictures["made", "bee", 1])


@pytest.mark.parametrize("kind", ["npz", "csv"])
def test_labels_of_files_that_are_numbers_stay_these_numbers(tmp_path: Path, kind: str) -> None:
    labels = np.array([2, 10, 11, 2, 10, 11])
    values = np.random.default_rng(0).uniform(size=(6, 2))
    paths = [tmp_path / f"{name}.{kind}" for name in ("real", "made")]
    # new samples of the last two classes alone
    for path, rows in zip(paths, (np.arange(6), np.array([1, 2, 4, 5])), strict=True):
        if kind == "npz":
            np.savez(path, X=values[rows], y=labels[rows])
        else:
            pd.DataFrame(values[rows], columns=["a", "b"]).assign(y=labels[rows]).to_csv(path, index=False)
    dataset = MixedDataset.from_folders(paths[0], paths[1])
    assert dataset.classes is None
    assert [int(dataset[i][1]) for i in range(10)] == [2, 10, 11, 2, 10, 11, 10, 11, 10, 11]
    assert dataset[0][1].dtype == torch.int64


def test_folders_are_read_with_the_options_of_the_command_line(tmp_path: Path) -> None:
    for folder, side in (("real", 4), ("made", 8)):
        for name in ("ant/0.png", "ant/1.png", "bee/0.png", "bee/1.png"):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(len(name)).integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels + np.uint8(name.endswith("1.png"))).save(tmp_path / folder / name)
    dataset = MixedDataset.from_folders(tmp_path / "real", tmp_path / "made", resize=(4, 4))
    assert {tuple(dataset[i][0].shape) for i in range(8)} == {(4, 4)}
    with pytest.raises(InvalidInputError, match="group_form"):
        MixedDataset.from_folders(tmp_path / "real", tmp_path / "made", group_form="folder")


def test_rows_of_a_synthetic_table_are_the_numbers_of_the_real_one(tmp_path: Path) -> None:
    real, made = tmp_path / "real.csv", tmp_path / "made.csv"
    real.write_text("who,arm,dose,state\ns,a,1.5,ill\nt,b,2.5,ill\ns,c,3.5,well\nt,b,4.5,well\n")
    made.write_text("arm,dose,state\nc,1.5,ill\nb,2.0,ill\n")
    dataset = MixedDataset.from_folders(real, made, label_from="state", group_from="who")
    assert dataset.classes == ("ill", "well")
    assert [dataset[i][0].tolist() for i in (4, 5)] == [[0, 0, 1, 1.5], [0, 1, 0, 2.0]]


# axes


def pictures(shape: tuple[int, ...], **settings: Any) -> MixedDataset:
    data = np.arange(2 * np.prod(shape), dtype=np.float32).reshape(2, *shape)
    return MixedDataset(data, [0, 1], torch.from_numpy(data), [0, 1], **settings)


@pytest.mark.parametrize(
    ("shape", "num_sides", "expected"),
    [
        ((4, 5), None, (1, 4, 5)),
        ((4, 5, 3), None, (3, 4, 5)),
        ((3, 4, 5), None, (3, 4, 5)),
        ((3, 4, 5), 3, (1, 3, 4, 5)),
        ((6, 7, 8), None, (1, 6, 7, 8)),
        ((6, 7, 8), 2, (8, 6, 7)),
        ((6, 7, 8, 2), None, (2, 6, 7, 8)),
    ],
)
def test_channels_come_first_where_that_is_asked_for(
    shape: tuple[int, ...], num_sides: int | None, expected: tuple[int, ...]
) -> None:
    seen: list[tuple[int, ...]] = []

    def told(sample: Tensor) -> Tensor:
        seen.append(tuple(sample.shape))
        return sample

    dataset = pictures(shape, transform=told, channels_first=True, num_sides=num_sides)
    plain = pictures(shape)
    for index in (1, 3):
        sample, given = dataset[index][0], plain[index][0]
        assert tuple(given.shape) == shape
        assert sample.shape == expected
        moved = given.movedim(-1, 0) if expected[0] == shape[-1] else given
        assert torch.equal(sample.squeeze(0), moved)
    assert seen == [expected] * 2


def test_channels_of_files_are_where_their_format_says(tmp_path: Path) -> None:
    for folder in ("real", "made"):
        for name in ("ant/0.png", "ant/1.png"):
            (tmp_path / folder / "ant").mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(len(folder) + int(name[4])).integers(0, 256, (3, 4, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / name)
    shapes = [
        MixedDataset.from_folders(tmp_path / "real", tmp_path / "made", channels_first=first)[2][0].shape
        for first in (False, True)
    ]
    assert shapes == [(3, 4, 3), (3, 3, 4)]


class _Odd(_Folder):
    def __getitem__(self, index: int) -> tuple[str, int]:
        return self.classes[index], 7


class _Stream(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MixedDataset(np.zeros((2, 3)), [0, 1], np.zeros((2, 4)), [0, 1]), "one shape"),
        (lambda: MixedDataset(np.zeros((2, 3)), [0, 1], np.zeros((2, 3), "u1"), [0, 1]), "one dtype"),
        (lambda: MixedDataset(np.zeros((2, 3)), [0, 1], np.zeros((2, 3)), [0]), "synthetic .* as many"),
        (lambda: MixedDataset(np.zeros((2, 3)), [0, 1], np.zeros((2, 3)), ["a", "b"]), "numbers in both"),
        (lambda: MixedDataset(np.zeros((2, 3)), [0, np.inf], np.zeros((1, 3)), [1]), "finite .* inf is not"),
        (
            lambda: MixedDataset(np.zeros((2, 3)), [0.5, np.nan], np.zeros((1, 3)), [1]),
            "finite .* nan is not",
        ),
        (lambda: MixedDataset(np.zeros((1, 3)), [0], np.zeros((1, 3)), [-1e19]), "-1e.19 is not"),
        (
            lambda: MixedDataset(np.zeros((1, 3)), np.uint64([2**63]), np.zeros((1, 3)), np.uint64([1])),
            "9223372036854775808 is not",
        ),
        (lambda: MixedDataset.from_datasets(_Stream(), _Stream()), "map-style"),
        (lambda: MixedDataset.from_datasets(_Folder("a"), _Folder()), "the synthetic data set .* empty"),
        (lambda: MixedDataset.from_datasets(_Folder(), _Folder("a")), "the real data set .* empty"),
        (lambda: MixedDataset.from_datasets(_Folder("a"), _Folder("b")), r"\('a'\), 'b' is not"),
        (
            lambda: MixedDataset.from_datasets(_Folder("a", "b"), _Folder("b", target_transform=abs)),
            "target_transform",
        ),
        (lambda: MixedDataset.from_datasets(_Folder("a", "b"), _Odd("b"))[2], "sample 0 has 7"),
        (lambda: mixed(channels_first=True), r"channels_first is for images .* \(1,\)"),
        (lambda: pictures((4, 5, 3), channels_first=True, num_sides=4), "num_sides must be 2"),
        (lambda: pictures((6, 7, 8, 9), channels_first=True), "must hold channels"),
        (lambda: RatioSampler(mixed(num_synthetic=0)), "samples of both kinds"),
        (lambda: RatioSampler(mixed(), real=0), "1 or more"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(make: Any, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


# the ratio


@pytest.mark.parametrize(("real", "synthetic"), [(1, 1), (2, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("sizes", [(6, 4), (7, 50), (30, 2), (1, 1)])
def test_every_stretch_of_an_epoch_has_the_ratio(real: int, synthetic: int, sizes: tuple[int, int]) -> None:
    dataset = mixed(*sizes)
    sampler = RatioSampler(dataset, real, synthetic)
    order = list(sampler)
    assert len(order) == len(sampler)
    made = np.array(order) >= sizes[0]
    whole = sizes[0] // real
    groups = made[: whole * (real + synthetic)].reshape(whole, real + synthetic)
    assert (groups.sum(1) == synthetic).all()
    assert made.sum() == max(1, round(sizes[0] * synthetic / real))
    assert sorted(np.array(order)[~made]) == list(range(sizes[0]))
    uses = np.bincount(np.array(order)[made] - sizes[0], minlength=sizes[1])
    assert uses.max() - uses.min() <= 1


def test_the_order_is_that_of_the_seed_and_the_epoch() -> None:
    dataset = mixed(20, 20)
    sampler = RatioSampler(dataset, random_state=1)
    state = torch.get_rng_state()
    first, second = list(sampler), list(sampler)
    assert torch.equal(torch.get_rng_state(), state)
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first
    later = RatioSampler(dataset, random_state=1)
    later.set_epoch(1)
    assert list(later) == second
    assert list(RatioSampler(dataset, random_state=2)) != first


def test_places_of_synthetic_samples_are_random() -> None:
    sampler = RatioSampler(mixed(400, 400))
    firsts = np.array(list(sampler))[::2] >= 400
    # 400 fair coins: outside 150..250 with a probability below 1e-6
    assert 150 < firsts.sum() < 250


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_batches_of_a_loader_have_the_ratio_in_any_number_of_workers(workers: int) -> None:
    dataset = mixed(12, 30)
    loader = DataLoader(
        dataset, batch_size=6, sampler=RatioSampler(dataset, real=1, synthetic=1), num_workers=workers
    )
    expected = RatioSampler(dataset)
    for _ in range(2):
        seen = []
        for samples, labels, is_synthetic in loader:
            assert (samples.shape, labels.dtype, is_synthetic.dtype) == ((6, 1), torch.int64, torch.bool)
            assert int(is_synthetic.sum()) == 3
            assert torch.equal(samples[:, 0] >= 100, is_synthetic)
            seen += [int(value) if value < 100 else int(value) - 100 + 12 for value in samples[:, 0]]
        assert seen == list(expected)


def test_a_dataset_goes_to_another_process_whole() -> None:
    dataset: Dataset[Any] = mixed()
    twin = pickle.loads(pickle.dumps(dataset))
    assert [float(twin[i][0]) for i in range(10)] == [float(dataset[i][0]) for i in range(10)]
