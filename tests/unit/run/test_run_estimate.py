import collections

import joblib
import psutil
import pytest

import riemaug.run.estimate as estimate
from riemaug.config import Amount
from riemaug.data import SampleFormat
from riemaug.errors import InvalidInputError, ResourceError
from riemaug.models.config import paper_model
from riemaug.run.disk_plan import check_disk, disk_bytes
from riemaug.run.estimate import estimate_fit, matrix_rate, with_samples
from riemaug.run.plan import new_counts, resolve_device
from riemaug.training import paper_training

GIGABYTE = 10**9


@pytest.fixture
def machine(monkeypatch):
    """Gives this machine so many bytes of free memory, beside what this process has, and so many cores."""

    def set_to(free: float, cores: int = 8) -> None:
        own = psutil.Process().memory_info().rss
        memory = collections.namedtuple("memory", "available")(available=free - own)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
        monkeypatch.setattr(joblib, "cpu_count", lambda: cores)

    return set_to


def fit_of(side: int, sizes: tuple[int, ...], jobs: int | None, kind: str = "rhvae") -> estimate.Estimate:
    dim = side * side
    return estimate_fit(paper_model(dim, kind), paper_training(dim), sizes, 4 * dim * sum(sizes), jobs)


def test_a_job_of_images_of_a_few_hundred_pixels_fits_a_small_machine(machine):
    machine(1.2 * GIGABYTE)
    found = fit_of(28, (50, 50), 1)
    assert found.num_jobs == 1
    assert 0.3 * GIGABYTE < found.memory < 1.2 * GIGABYTE


def test_what_cannot_fit_is_refused_with_the_way_out_that_helps(machine):
    machine(1.5 * GIGABYTE)
    assert fit_of(28, (50,) * 10, 1).num_jobs == 1
    with pytest.raises(ResourceError, match=r"use --jobs 1 \(about 0\.\d GB\)"):
        fit_of(28, (50,) * 10, 8)
    with pytest.raises(ResourceError, match=r"--resize HxW"):
        fit_of(256, (50, 50), None)
    with pytest.raises(ResourceError, match=r"--resize HxW"):
        fit_of(256, (50, 50), 2)
    machine(0.3 * GIGABYTE)
    with pytest.raises(ResourceError, match="free some memory or use a larger machine"):
        fit_of(8, (50, 50), 1)


def test_a_refusal_states_numbers_that_add_up(machine):
    machine(1.5 * GIGABYTE)
    for jobs in (2, 3, 8, 64):
        with pytest.raises(ResourceError) as refused:
            fit_of(64, (50, 50, 50), jobs)
        numbers = [float(word) for word in str(refused.value).split() if word.replace(".", "").isdigit()]
        assert numbers[1] == 1.5
        assert all(number > 0 for number in numbers)
        assert numbers[0] > numbers[1]


def test_jobs_are_as_many_as_cores_classes_and_memory_allow(machine):
    machine(100 * GIGABYTE, cores=8)
    assert fit_of(28, (500,) * 20, None).num_jobs == 8
    assert fit_of(28, (500,) * 3, None).num_jobs == 3
    assert fit_of(28, (500,) * 3, 64).num_jobs == 3
    machine(3 * GIGABYTE, cores=8)
    assert 2 <= fit_of(28, (500,) * 20, None).num_jobs <= 4


def test_a_job_of_seconds_starts_no_processes(machine, monkeypatch):
    machine(100 * GIGABYTE, cores=8)
    monkeypatch.setattr(estimate, "USUAL_EPOCHS", 10)
    assert fit_of(8, (10, 10), None).num_jobs == 1
    assert fit_of(8, (10, 10), 2).num_jobs == 2


def test_more_jobs_need_more_memory_and_less_time(machine):
    machine(100 * GIGABYTE, cores=4)
    one, four, many = (fit_of(28, (200,) * 8, jobs) for jobs in (1, 4, 8))
    assert one.memory < four.memory < many.memory
    assert one.seconds > 2 * four.seconds
    # more processes than cores are no faster; the rate of the machine is measured anew each time
    assert many.seconds == pytest.approx(four.seconds, rel=0.7)


def test_larger_classes_take_longer(machine):
    machine(100 * GIGABYTE)
    assert fit_of(28, (2000, 2000), 1).seconds > 2 * fit_of(28, (100, 100), 1).seconds
    assert fit_of(28, (100, 100), 1, "vae").seconds < fit_of(28, (100, 100), 1).seconds


def test_samples_take_time_too(machine):
    machine(100 * GIGABYTE)
    alone = fit_of(28, (100, 100), 1)
    assert with_samples(alone, (10, 10)).seconds > alone.seconds
    assert with_samples(alone, (10**6, 10**6)).seconds > alone.seconds + 1000


def test_the_rate_of_matrix_products_is_that_of_a_computer():
    assert 1e8 < matrix_rate() < 1e13


def images(height: int, width: int, suffix: str = ".png", grey_as_rgb: bool = False) -> SampleFormat:
    shape = (height, width, 3) if grey_as_rgb else (height, width)
    return SampleFormat("folder", shape, "uint8", suffix, None, grey_as_rgb)


def test_a_small_picture_takes_a_block_of_the_disk():
    assert disk_bytes(1000, images(8, 8)) >= 1000 * 4096
    assert disk_bytes(1000, images(512, 512)) >= 1000 * 512 * 512
    assert disk_bytes(10, images(512, 512, grey_as_rgb=True)) > 2.5 * disk_bytes(10, images(512, 512))
    assert disk_bytes(0, images(8, 8)) == 0


def test_arrays_are_on_the_disk_thrice_while_they_are_joined():
    fmt = SampleFormat("arrays", (100,), "float32", "", ("X", "y"), False)
    assert disk_bytes(1000, fmt) >= 3 * 1000 * 400


def test_a_disk_that_is_too_small_is_refused_before_out_is_made(tmp_path):
    out = tmp_path / "new" / "out"
    check_disk(out, 10.0)
    with pytest.raises(InvalidInputError, match="another disk"):
        check_disk(out, 1e18)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("amount", "wanted"),
    [
        (Amount(), (3, 5)),
        (Amount(per_class=7), (7, 7)),
        (Amount(factor=3), (6, 10)),
        (Amount(balance=True), (2, 0)),
    ],
)
def test_counts(amount, wanted):
    assert new_counts(amount, (3, 5)) == wanted


@pytest.mark.parametrize("amount", [Amount(balance=True), Amount(factor=1.01)])
def test_no_new_sample_at_all_is_refused(amount):
    with pytest.raises(InvalidInputError, match="--per-class"):
        new_counts(amount, (4, 4))


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "CUDA", "mps", "cpu:0"])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(InvalidInputError, match="auto, cpu, cuda or cuda:N"):
        resolve_device(device)


def test_auto_takes_a_device_that_is_there():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device(resolve_device("auto")) in ("cpu", "cuda")


def test_a_device_beyond_the_last_is_refused():
    with pytest.raises(InvalidInputError, match="--device cuda:99"):
        resolve_device("cuda:99")
