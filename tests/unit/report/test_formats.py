import numpy as np
import pytest

from riemaug.report.formats import clean, count, duration, memory, number, percent


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (float("-inf"), "−∞"),
        (True, "yes"),
        (12345, "12,345"),
        (-95.31, "−95.3"),
        (1.0, "1.00"),
        (0.0, "0"),
        (12345.6, "12,346"),
        (123.4, "123"),
        (0.00012, "1.20\u202f×\u202f10⁻⁴"),
        ("", "–"),
        (np.int64(12345), "12,345"),
        (np.bool_(False), "no"),
    ],
)
def test_numbers_read_well(value, shown):
    assert number(value) == shown


def test_rhat_needs_the_third_decimal():
    assert number(1.004, 4) == "1.004"


def test_share_just_below_one_is_not_rounded_up():
    assert percent(0.9996) == "99.96\u202f%"
    assert percent(1.0) == "100\u202f%"
    assert percent(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0.42, "0.42 s"),
        (59.99, "1 min 00 s"),
        (192.0, "3 min 12 s"),
        (3900.0, "1 h 05 min"),
        (90000.0, "1 d 1 h"),
    ],
)
def test_durations_use_two_units(seconds, shown):
    assert duration(seconds).replace("\u00a0", " ") == shown


def test_memory_changes_to_gigabytes():
    assert (memory(512.0), memory(2048.0), memory(None)) == ("512 MB", "2.0 GB", "–")


def test_nouns_agree():
    assert (count(1, "class", "classes"), count(2000, "class", "classes")) == ("1 class", "2,000 classes")


def test_clean_text_can_be_written_as_utf8():
    assert clean("a\udcffb\x00c\nd\x1b").encode() == "a\ufffdb\ufffdc\nd\ufffd".encode()
