"""Pixel kinds, damaged files and sizes of image folders."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from data_files import noise, nth_image, refused, retag, save_image
from PIL import Image

from riemaug.data import read_dataset, upright_samples
from riemaug.data.channels import on_white, with_channels
from riemaug.data.images import resize_pixels
from riemaug.data.writing import write_image
from riemaug.errors import ResourceError
from riemaug.limits import DEFAULT_LIMITS


def png(width, height, depth, colour, raw):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


def note_of(data, text):
    return any(text in note for note in data.notes)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_grey(tmp_path, suffix):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}{suffix}", noise(index, dtype="uint16"))
    data = read_dataset(tmp_path)
    assert data.samples.dtype == np.uint16
    np.testing.assert_array_equal(data.samples[1], noise(1, dtype="uint16"))


def test_16_bit_big_endian_tiff(tmp_path):
    for index in range(2):
        pixels = noise(index, dtype="uint16")
        save_image(
            tmp_path / "a" / f"{index}.tif", Image.frombytes("I;16B", (5, 6), pixels.astype(">u2").tobytes())
        )
    np.testing.assert_array_equal(read_dataset(tmp_path).samples[0], noise(0, dtype="uint16"))


def test_32_bit_integers_that_fit_become_16_bit(tmp_path):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.tif", noise(index, dtype="uint16").astype(np.int32))
    data = read_dataset(tmp_path)
    assert data.format.dtype == "uint16"
    np.testing.assert_array_equal(data.samples[0], noise(0, dtype="uint16"))
    assert note_of(data, "2 files with 32-bit or signed integers")


@pytest.mark.parametrize("value", [-5, 70000])
def test_32_bit_integers_that_do_not_fit_are_refused(tmp_path, value):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.tif", np.full((4, 4), value, np.int32))
    refused(tmp_path, "0..65535", str(value), "'a/0.tif'")


BITS, SAMPLE_FORMAT = 258, 339
SIGNED = {"tiffinfo": {SAMPLE_FORMAT: 2}}


def test_signed_bytes_that_are_negative_are_refused_not_wrapped(tmp_path):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.tif", noise(index), **SIGNED)
    told = f"must not be negative, these go from {noise(0).view(np.int8).min()} to"
    refused(tmp_path, "'a/0.tif'", told, "32-bit float TIFF")


def test_signed_bytes_that_are_not_negative_are_told_of(tmp_path):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.tif", noise(index) // 2, **SIGNED)
    data = read_dataset(tmp_path)
    np.testing.assert_array_equal(data.samples[1], noise(1) // 2)
    assert note_of(data, "2 files with signed 8-bit integers, all in 0..127")


@pytest.mark.parametrize(
    ("pixels", "tag", "values", "told"),
    [
        (noise(0, dtype="float32"), BITS, (64,), "64-bit floating-point numbers cannot be read"),
        (noise(0, dtype="float32"), BITS, (16,), "16-bit floating-point numbers cannot be read"),
        (noise(0, dtype="float32"), SAMPLE_FORMAT, (6,), "32-bit numbers of an unknown kind"),
        (noise(0, (6, 5, 2)), BITS, (16, 16), "pixels of 2 channels of 16-bit integers cannot be read"),
    ],
)
def test_a_tiff_of_numbers_that_are_not_read_is_called_what_it_is(tmp_path, pixels, tag, values, told):
    image = Image.fromarray(pixels, "LA") if pixels.ndim == 3 else pixels
    for index in range(2):
        retag(save_image(tmp_path / "a" / f"{index}.tif", image), tag, *values)
    refused(tmp_path, told, "save the file as")


def test_a_big_tiff_is_called_what_it_is_and_a_broken_one_is_damaged(tmp_path):
    path = save_image(tmp_path / "a" / "0.tif", noise(0, dtype="float32"), big_tiff=True)
    content, entry = bytearray(path.read_bytes()), struct.pack("<HHQ", BITS, 3, 1)
    struct.pack_into("<H", content, content.index(entry) + len(entry), 64)
    path.write_bytes(content)
    save_image(tmp_path / "a" / "1.tif", noise(1)).write_bytes(b"II*\0\xff\xff\xff\xff")
    message = refused(tmp_path, "'a/0.tif' (pixels that are 64-bit floating-point numbers")
    assert "'a/1.tif' (no readable image: damaged" in message


def test_float_tiff(tmp_path):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.tif", noise(index, dtype="float32"))
    data = read_dataset(tmp_path)
    assert (data.format.dtype, data.format.suffix) == ("float32", ".tiff")
    np.testing.assert_array_equal(data.samples[0], noise(0, dtype="float32"))
    bad = noise(3, dtype="float32")
    bad[0, :2] = np.nan
    save_image(tmp_path / "a" / "bad.tif", bad)
    refused(tmp_path, "'a/bad.tif'", "2 are NaN")


def test_rgb(tmp_path):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.png", noise(index, (6, 5, 3)))
    data = read_dataset(tmp_path)
    assert data.format.shape == (6, 5, 3)
    assert not data.format.grey_as_rgb
    np.testing.assert_array_equal(data.samples[1], noise(1, (6, 5, 3)))


def test_grey_saved_as_rgb_is_recognised(tmp_path):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.png", np.repeat(noise(index)[..., None], 3, 2))
    data = read_dataset(tmp_path)
    assert data.format.grey_as_rgb
    assert data.format.shape == (6, 5, 3)
    assert data.format.model_shape == (6, 5)
    np.testing.assert_array_equal(data.samples[1], noise(1))
    assert note_of(data, "grey in content")


def test_grey_and_grey_in_rgb_become_grey(two_classes):
    save_image(two_classes / "cat" / "rgb.png", np.repeat(noise(5)[..., None], 3, 2))
    data = read_dataset(two_classes)
    assert data.format.shape == (6, 5)
    assert not data.format.grey_as_rgb
    assert note_of(data, "1 RGB files among grey ones")


def test_grey_and_colour_become_rgb(two_classes):
    save_image(two_classes / "cat" / "rgb.png", noise(5, (6, 5, 3)))
    data = read_dataset(two_classes)
    assert data.format.shape == (6, 5, 3)
    assert note_of(data, "5 grey files among RGB ones")
    np.testing.assert_array_equal(data.samples[0], np.repeat(nth_image("cat", 0)[..., None], 3, 2))


def test_palette(tmp_path):
    for index in range(2):
        colours = Image.fromarray(noise(index, (6, 5, 3))).convert("P", palette=Image.Palette.ADAPTIVE)
        save_image(tmp_path / "a" / f"{index}.png", colours)
    data = read_dataset(tmp_path)
    assert data.format.shape == (6, 5, 3)
    np.testing.assert_array_equal(data.samples[1], np.array(colours.convert("RGB")))
    assert note_of(data, "2 files with a colour palette")


def test_one_bit_becomes_8_bit_grey(tmp_path):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.png", noise(index) > 127)
    data = read_dataset(tmp_path)
    np.testing.assert_array_equal(data.samples[0], np.where(noise(0) > 127, 255, 0))
    assert data.format.dtype == "uint8"
    assert note_of(data, "1 bit a pixel")


@pytest.mark.parametrize("bands", [2, 4])
def test_an_opaque_alpha_channel_is_not_modelled_and_written_again(tmp_path, bands):
    for index in range(2):
        pixels = noise(index, (6, 5, bands))
        pixels[..., -1] = 255
        save_image(tmp_path / "a" / f"{index}.png", pixels)
    data = read_dataset(tmp_path)
    np.testing.assert_array_equal(data.samples[1], pixels[..., 0] if bands == 2 else pixels[..., :3])
    assert note_of(data, "2 files with an opaque alpha channel")
    assert data.format.shape == (6, 5, bands)
    assert data.format.opaque_alpha
    write_image(tmp_path / "again.png", data.samples[1], data.format)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "again.png")), pixels)
    save_image(tmp_path / "a" / "plain.png", pixels[..., 0] if bands == 2 else pixels[..., :3])
    mixed = read_dataset(tmp_path).format
    assert (mixed.shape, mixed.opaque_alpha) == (data.format.sample_shape, False)


@pytest.mark.parametrize("bands", [2, 4])
def test_transparency_is_modelled_and_written(tmp_path, bands):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.png", noise(index, (6, 5, bands)))
    data = read_dataset(tmp_path)
    assert data.format.shape == (6, 5, bands) == data.format.model_shape
    np.testing.assert_array_equal(data.samples[1], noise(1, (6, 5, bands)))
    write_image(tmp_path / "again.png", data.samples[1], data.format)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "again.png")), noise(1, (6, 5, bands)))
    shown = upright_samples(np.float32(data.samples / 255), data.format)
    assert shown.shape == ((2, 6, 5) if bands == 2 else (2, 6, 5, 3))
    save_image(tmp_path / "a" / "opaque.png", noise(7))
    data = read_dataset(tmp_path)
    np.testing.assert_array_equal(data.samples[2][..., -1], 255)
    np.testing.assert_array_equal(data.samples[2][..., 0], noise(7))
    assert note_of(data, "1 files without transparency among transparent ones")


def test_grey_saved_as_rgba_is_modelled_with_two_channels(tmp_path):
    for index in range(2):
        grey = np.repeat(noise(index)[..., None], 3, 2)
        pixels = np.concatenate([grey, noise(index + 5)[..., None]], 2)
        save_image(tmp_path / "a" / f"{index}.png", pixels)
    data = read_dataset(tmp_path)
    assert (data.format.shape, data.format.model_shape) == ((6, 5, 4), (6, 5, 2))
    write_image(tmp_path / "again.png", data.samples[1], data.format)
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "again.png")), pixels)


def test_invisible_colours_do_not_bleed_when_resized():
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, :2] = (200, 100, 50, 255)
    pixels[:, 2:] = (0, 255, 255, 0)
    small = resize_pixels(pixels, (1, 1))
    np.testing.assert_array_equal(small[0, 0], [200, 100, 50, 128])


def test_what_is_shown_of_a_transparent_picture_lies_on_white():
    unit = np.array([[[[0.5, 0.25, 0.0, 0.0], [0.5, 0.25, 0.0, 1.0], [0.5, 0.25, 0.0, 0.5]]]], np.float32)
    np.testing.assert_allclose(on_white(unit)[0, 0], [[1, 1, 1], [0.5, 0.25, 0], [0.75, 0.625, 0.5]])


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
def test_a_transparent_colour_becomes_an_alpha_channel(tmp_path, mode):
    for index in range(2):
        image = Image.fromarray(noise(index, (6, 5, 3))).convert(mode)
        value = image.getpixel((0, 0))
        path = save_image(tmp_path / "a" / f"{index}.png", image, transparency=value)
    data = read_dataset(tmp_path)
    assert note_of(data, "2 files with a transparent colour: read with an alpha channel")
    seen = Image.open(path).convert("RGBA")
    np.testing.assert_array_equal(with_channels(data.samples[1], 4), np.array(seen))
    assert data.samples[1].min() < 255
    assert (data.samples[..., -1] == 0).any()


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    for index in range(2):
        path = save_image(
            tmp_path / "a" / f"{index}.jpg", Image.fromarray(noise(index, (8, 8, 3))).convert("CMYK")
        )
    data = read_dataset(tmp_path)
    assert data.format.shape == (8, 8, 3)
    np.testing.assert_array_equal(data.samples[1], np.array(Image.open(path).convert("RGB")))
    assert note_of(data, "2 files in CMYK")


def test_lab_is_refused(tmp_path):
    for index in range(2):
        save_image(
            tmp_path / "a" / f"{index}.tif", Image.frombytes("LAB", (5, 6), noise(index, (90,)).tobytes())
        )
    refused(tmp_path, "pixel kind LAB")


@pytest.mark.parametrize(
    ("colour", "bands", "told"),
    [(2, 3, "16-bit colour"), (4, 2, "16-bit grey with transparency"), (6, 4, "16-bit colour")],
)
def test_16_bit_channels_of_png_are_refused_by_their_name_not_cut_to_8_bits(tmp_path, colour, bands, told):
    (tmp_path / "a").mkdir()
    rows = b"".join(b"\0" + bytes(5 * bands * 2) for _ in range(6))
    for index in range(2):
        (tmp_path / "a" / f"{index}.png").write_bytes(png(5, 6, 16, colour, rows))
    refused(tmp_path, f"{told} cannot be kept")


def test_mixed_bit_depth_is_refused(two_classes):
    save_image(two_classes / "cat" / "deep.png", noise(5, dtype="uint16"))
    refused(two_classes, "one bit depth", "uint16 ('cat/deep.png')", "uint8 ('cat/a.png')")


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for index in range(2):
        path = save_image(tmp_path / "a" / f"{index}.jpg", noise(index, (8, 6)), exif=exif, quality=100)
    data = read_dataset(tmp_path)
    assert data.samples.shape == (2, 6, 8)
    np.testing.assert_array_equal(data.samples[1], np.rot90(np.array(Image.open(path)), -1))
    assert note_of(data, "2 files with an EXIF orientation")


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".png"])
def test_stacks_are_refused(two_classes, suffix):
    frames = [Image.fromarray(noise(index)) for index in range(3)]
    save_image(two_classes / "cat" / f"stack{suffix}", frames[0], save_all=True, append_images=frames[1:])
    refused(two_classes, f"'cat/stack{suffix}'", "3 frames")


def test_white_is_zero_is_inverted(tmp_path):
    for index in range(2):
        path = save_image(tmp_path / "a" / f"{index}.tif", noise(index, dtype="uint16"), tiffinfo={262: 0})
    with Image.open(path) as image:
        assert image.tag_v2[262] == 0
    data = read_dataset(tmp_path)
    np.testing.assert_array_equal(data.samples[0], 65535 - noise(0, dtype="uint16"))
    assert note_of(data, "0 for white")


def test_content_decides_not_the_suffix(tmp_path):
    for index in range(2):
        save_image(tmp_path / "a" / f"{index}.jpg", noise(index), format="PNG")
    np.testing.assert_array_equal(read_dataset(tmp_path).samples[0], noise(0))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".gif"])
def test_truncated_files_are_named_or_skipped(two_classes, suffix):
    path = save_image(two_classes / "cat" / f"broken{suffix}", noise(8, (60, 50)))
    content = path.read_bytes()
    for keep in (0, 1, 10, len(content) // 3, len(content) // 2):
        path.write_bytes(content[:keep])
        refused(two_classes, f"'cat/broken{suffix}'", "1 of 6", "--skip-bad")
    data = read_dataset(two_classes, skip_bad=True)
    assert data.counts == (3, 2)
    assert f"cat/broken{suffix}" not in data.names
    assert note_of(data, f"1 files were skipped as asked: 'cat/broken{suffix}'")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".gif", ".bmp"])
def test_flipped_bytes_never_escape_as_other_errors(two_classes, suffix):
    path = save_image(two_classes / "cat" / f"odd{suffix}", noise(8, (12, 10)))
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(30):
        damaged = content.copy()
        for position in rng.integers(0, len(content), 4):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        counts = read_dataset(two_classes, skip_bad=True, resize=(6, 5)).counts
        assert counts in ((3, 2), (4, 2))


def test_many_bad_files_are_counted(two_classes):
    for index in range(5):
        (two_classes / "cat" / f"z{index}.png").write_bytes(b"no image")
    message = refused(two_classes, "5 of 10 are not", "'cat/z0.png'", "and 2 more")
    assert "z3.png" not in message


def test_skipping_may_not_leave_a_class_too_small(two_classes):
    (two_classes / "dog" / "a.png").write_bytes(b"no image")
    refused(two_classes, "'dog'", "at least 2 images", skip_bad=True)


@pytest.mark.parametrize("side", [12000, 15000, 60000])
def test_decompression_bomb_is_one_line(two_classes, side):
    assert side * side > DEFAULT_LIMITS.pixels
    (two_classes / "cat" / "bomb.png").write_bytes(png(side, side, 8, 0, bytes(100)))
    refused(two_classes, "'cat/bomb.png'", f"up to {DEFAULT_LIMITS.pixels} pixels")


def test_no_warning_reaches_the_user(two_classes):
    save_image(two_classes / "cat" / "z.png", Image.new("P", (5, 6)), transparency=bytes([255] * 4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_dataset(two_classes)
    assert caught == []


@pytest.fixture
def mixed_sizes(two_classes):
    for index in range(2):
        save_image(two_classes / "cat" / f"tall{index}.png", noise(20 + index, (9, 4)))
    save_image(two_classes / "cat" / "wide.png", noise(30, (3, 8)))
    return two_classes


def test_different_sizes_are_refused_with_the_ways_out(mixed_sizes):
    refused(mixed_sizes, "3 sizes", "5 of 6x5 and 2 of 9x4", "--resize HxW", "--pad", "--crop")


def test_pad_centres_on_the_most_common_corner_value(mixed_sizes):
    for path in mixed_sizes.rglob("*.png"):
        pixels = np.array(Image.open(path))
        pixels[[0, 0, -1, -1], [0, -1, 0, -1]] = 200
        save_image(path, pixels)
    data = read_dataset(mixed_sizes, pad=True)
    assert data.samples.shape == (8, 9, 8)
    sample = data.samples[data.names.index("cat/a.png")]
    np.testing.assert_array_equal(sample[1:7, 1:6], np.array(Image.open(mixed_sizes / "cat" / "a.png")))
    assert (np.delete(sample, range(1, 7), axis=0) == 200).all()
    assert note_of(data, "padded with the value [200] to 9x8")


def test_pad_of_colour(tmp_path):
    for index, size in enumerate([(4, 4), (6, 5)]):
        pixels = noise(index, (*size, 3))
        pixels[[0, 0, -1, -1], [0, -1, 0, -1]] = (10, 20, 30)
        save_image(tmp_path / "a" / f"{index}.png", pixels)
    data = read_dataset(tmp_path, pad=True)
    np.testing.assert_array_equal(data.samples[0, 0], np.tile([10, 20, 30], (5, 1)))


def test_crop_cuts_the_centre(mixed_sizes):
    data = read_dataset(mixed_sizes, crop=True)
    assert data.samples.shape == (8, 3, 4)
    np.testing.assert_array_equal(data.samples[data.names.index("cat/tall0.png")], noise(20, (9, 4))[3:6])
    assert note_of(data, "centre-cropped to 3x4")


def test_resize(mixed_sizes):
    data = read_dataset(mixed_sizes, resize=(3, 4))
    assert data.samples.shape == (8, 3, 4)
    assert data.format.shape == (3, 4)
    assert note_of(data, "8 images were resized to 3x4")
    assert note_of(data, "aspect ratio")


@pytest.mark.parametrize("options", [{"pad": True}, {"crop": True}, {"resize": (6, 5)}])
def test_equal_sizes_are_left_alone(two_classes, options):
    data = read_dataset(two_classes, **options)
    np.testing.assert_array_equal(data.samples, read_dataset(two_classes).samples)
    assert data.notes == ()


@pytest.mark.parametrize(
    "options",
    [
        {"pad": True, "crop": True},
        {"pad": True, "resize": (2, 2)},
        {"resize": (0, 4)},
        {"resize": (2**14, 2**14)},
    ],
)
def test_impossible_size_options(two_classes, options):
    refused(two_classes, "--resize", **options)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_shrinking_averages_areas(dtype):
    pixels = noise(1, (8, 12), dtype)
    small = resize_pixels(pixels, (4, 6))
    means = pixels.astype(np.float64).reshape(4, 2, 6, 2).mean(axis=(1, 3))
    assert small.dtype == pixels.dtype
    np.testing.assert_allclose(small, means, atol=1e-5 if dtype == "float32" else 0.51)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("size", [(20, 30), (3, 30), (1, 1)])
def test_resizing_does_not_overshoot(dtype, size):
    pixels = noise(2, (8, 12), dtype)
    resized = resize_pixels(pixels, size)
    assert resized.shape == size
    assert resized.min() >= pixels.min()
    assert resized.max() <= pixels.max()


def test_padding_beyond_the_memory_is_refused(tmp_path):
    for index, size in enumerate([(1, 2**22), (2**22, 1)]):
        (tmp_path / "a").mkdir(exist_ok=True)
        height, width = size
        raw = b"".join(b"\0" + bytes(width) for _ in range(height)) if height == 1 else bytes(2 * height)
        (tmp_path / "a" / f"{index}.png").write_bytes(png(width, height, 8, 0, raw))
    with pytest.raises(ResourceError, match="GiB are free: give --resize HxW"):
        read_dataset(tmp_path, pad=True)
