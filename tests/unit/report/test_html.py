import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from tests.report_records import columns_class, evaluation, verdict, volume_class
from tests.report_records import report as records_report

from riemaug.report import html, write_report

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.headings, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"closes {tag}, which is not open"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text(report):
    return html.render(report)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def embedded(text):
    uris = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGB")) for uri in uris]


def holds(sheets, picture):
    """Whether a picture lies anywhere in one of the sheets: its first row is looked up, then all of it."""
    color = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)
    height, width = color.shape[:2]
    for sheet in sheets:
        if sheet.shape[0] < height or sheet.shape[1] < width:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(sheet, (height, width, 3))[..., 0, :, :, :]
        rows, columns = np.nonzero((windows[..., 0, 0, :] == color[0, 0]).all(axis=-1))
        if any(
            np.array_equal(windows[row, column], color) for row, column in zip(rows, columns, strict=True)
        ):
            return True
    return False


def test_nothing_is_loaded_from_elsewhere(text, page):
    assert "http://" not in text
    assert "https://" not in text
    assert not re.search(r"@import|url\((?!data:image/(?:png|jpeg);base64,|#|&#|\{)", text)
    assert not page.all("link")
    assert not [tag for tag in ("iframe", "object", "embed", "form", "video") if page.all(tag)]
    sources = [value for _, attributes in page.tags for name, value in attributes.items() if name == "src"]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    pictures = [item["href"] for item in page.all("image")]
    assert pictures
    assert all(picture.startswith("data:image/png;base64,") for picture in pictures)
    links = [attributes["href"] for attributes in page.all("a")]
    assert all(link.startswith("#") for link in links)
    policy = next(item["content"] for item in page.all("meta") if "http-equiv" in item)
    assert policy.startswith("default-src 'none'")


def test_links_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"][1:] for attributes in page.all("a")} <= set(ids)
    described = [
        attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes
    ]
    assert set(described) <= set(ids)


def test_hostile_names_stay_text(text, page):
    assert len(page.all("script")) == 1
    assert "<script>document.title" not in text
    assert "onerror" not in {name for _, attributes in page.tags for name in attributes}
    assert "<script>document.title='owned'</script>" in page.text
    assert text.encode("utf-8")
    assert "\x07" not in text
    assert "🫀" in text


def test_page_is_accessible(page):
    assert page.all("html") == [{"lang": "en"}]
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False))
    assert all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in page.all("svg"))
    tiles = [item for item in page.all("span") if item.get("class", "").startswith("tile")]
    assert len(tiles) == 3 * 6 + 3 * 4  # triplets: some real one, a synthetic one, the one nearest to it
    assert all(tile["role"] == "img" and tile["aria-label"] for tile in tiles)
    classes = [item for item in page.all("details") if item.get("class") == "class"]
    assert ["open" in item for item in classes] == [True, False, False]
    assert all(item.get("scope") for item in page.all("th"))


def test_page_says_what_it_must(page):
    for sentence in (
        "211 synthetic images for 3 classes",
        "It is not known whether these images make a classifier better.",
        "riemaug evaluate REAL SYNTHETIC --test TEST",
        "held-out real data",
        "did not converge for 1 of 3 classes",
        "--no-real-images",
        "Not for diagnosis",
        "The model file holds one centroid for every training sample",
        "training.epochs",
        "run more steps",
        "R-hat",
        "cd" * 32,
        "The samples of this class are not images",
    ):
        assert sentence in page.text


def test_unknown_values_are_dashes(page):
    assert re.findall(r".{30}\b(?:nan|None|inf|undefined)\b.{30}", page.text) == []


def test_pictures_are_shown_pixel_by_pixel(text, image_class):
    sheets = embedded(text)
    assert all(holds(sheets, picture) for picture in image_class.real)  # also those in no triplet
    assert all(holds(sheets, picture) for picture in image_class.nearest)


def test_no_real_pixel_without_real_pictures(report, image_class, color_class):
    # The third synthetic picture is a copy of a training one, so that it is a real picture as well.
    synthetic = image_class.synthetic.copy()
    synthetic[2] = image_class.real[4]
    copied = replace(image_class, synthetic=synthetic, copies_exact=1)
    text = html.render(replace(report, classes=(copied, color_class), show_real=False))
    sheets = embedded(text)
    assert holds(sheets, synthetic[0])
    assert not any(holds(sheets, picture) for picture in copied.real)
    assert not any(holds(sheets, picture) for picture in copied.nearest)
    assert not any(holds(sheets, picture) for picture in color_class.real)
    page = Page(text)
    assert "1 synthetic image equal to a real one is not shown here." in page.text
    assert "Real pictures are left out of this report" in page.text
    assert "some real image of the class" not in page.text


def test_closest_pair_comes_first(report, image_class):
    distances = np.array([3.0, 1.0, 2.0, np.nan, 8.0, 7.0])
    one = replace(report, classes=(replace(image_class, nearest_distances=distances),))
    labels = [
        item["aria-label"]
        for item in Page(html.render(one)).all("span")
        if item.get("class") == "tile nearest"
    ]
    assert [label.split()[-1] for label in labels] == ["1.00", "2.00", "3.00", "7.00", "8.00", "–"]
    assert labels[0].startswith("Its nearest training image scan-1.png")


def test_same_data_give_the_same_bytes(report, text):
    assert html.render(report) == text


def test_write_replaces_the_file_and_leaves_nothing_else(report, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(report, path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]


def test_page_without_classes_is_a_page(report):
    page = Page(html.render(replace(report, classes=(), notes=())))
    assert "0 synthetic samples for 0 classes" in page.text


def relative_luminance(color):
    channels = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_has_the_contrast_of_wcag_aa(text, scheme):
    block = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[scheme]
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    pairs = [(ink, ground) for ink in ("ink", "muted", "accent") for ground in ("bg", "card")]
    pairs += [(grade, f"{grade}-bg") for grade in ("good", "fair", "poor")] + [("ink", "info-bg")]
    for ink, ground in pairs:
        light, dark = sorted(
            (relative_luminance(colors[ink]), relative_luminance(colors[ground])), reverse=True
        )
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def test_an_evaluation_comes_first_and_is_told_in_full(report):
    text = html.render(replace(report, evaluation=evaluation()))
    page = Page(text)
    assert "These synthetic images make the classifier better: +2.3 points of balanced accuracy" in page.text
    assert "Not measured; riemaug evaluate" not in page.text
    assert "It is not known whether" not in page.text
    order = ["verdict", "warnings", "data", "classes", "fidelity", "diversity", "copying", "gain"]
    order += ["provenance", "privacy"]
    places = [text.index(f'<section id="{name}"') for name in order]
    assert places == sorted(places)
    assert "1 of 211 synthetic samples equals a training sample." in page.text
    assert all(later - earlier <= 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False))


def test_several_classifiers_have_a_verdict_each(report):
    two = evaluation(verdict(0.02, 0.01, 0.03), verdict(-0.02, -0.03, -0.01, classifier="small-cnn"))
    page = Page(html.render(replace(report, evaluation=two)))
    assert "make the classifier better" in page.text
    assert "make the classifier worse" in page.text
    assert "Classifier: small-cnn" in page.text


def test_volumes_have_labelled_sliders_and_slices(report):
    page = Page(html.render(replace(report, classes=(volume_class(),))))
    sliders = page.all("input")
    assert [(item["type"], item["min"], item["max"]) for item in sliders] == [
        ("range", "0", "19"),
        ("range", "0", "23"),
        ("range", "0", "15"),
    ]
    assert page.tags.count(("label", {})) == 3
    slices = page.all("canvas")
    assert len(slices) == 12
    assert all(item["role"] == "img" and "slice across" in item["aria-label"] for item in slices)
    without = Page(html.render(replace(report, classes=(volume_class(),), show_real=False)))
    assert len(without.all("canvas")) == 6


def test_volumes_are_not_called_images(report):
    page = Page(html.render(replace(report, classes=(volume_class(),), evaluation=None)))
    assert "synthetic volume" in page.text
    assert "middle slices across the three axes" in page.text
    assert "Look at the pictures first." in page.text
    assert not re.search("(synthetic|training|real) images?", page.text.lower())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_volumes_of_one_slice_have_no_slider(report, axis):
    several = volume_class()
    flat = replace(
        several.volumes,
        synthetic=several.volumes.synthetic.take([3], axis + 1),
        nearest=several.volumes.nearest.take([3], axis + 1),
    )
    page = Page(html.render(replace(report, classes=(replace(several, volumes=flat),))))
    assert not page.all("input")
    assert "Each slider" not in page.text
    slices = page.all("canvas")
    assert len(slices) == 4
    assert all(item["aria-label"].endswith(flat.axes[axis]) for item in slices)


def test_a_plane_of_a_larger_space_is_called_one(report, image_class, latent):
    above = replace(image_class, latent=replace(latent, latent_dim=5, plane_share=0.834))
    page = Page(html.render(replace(report, classes=(above,))))
    assert "The latent space of this class has 5 dimensions. The map is a plane in it" in page.text
    assert "83.4 % of their variance lies in this plane" in page.text
    assert "1st axis" in page.text


def test_the_fingerprint_is_readable():
    found = dict(
        html.fingerprint_rows(
            {
                "samples": 1300,
                "classes": {"a": 1000, "b": 300},
                "shape": [8, 8],
                "model shape": [8, 8],
                "range": [0.0, 255.0],
                "groups": None,
            }
        )
    )
    assert found == {
        "samples": "1,300",
        "classes": "2: a (1,000), b (300)",
        "shape": "8 × 8",
        "range": "0 to 255",
    }


def test_a_page_of_a_table_does_not_speak_of_pictures(rng):
    words = Page(html.render(records_report(columns_class(rng)))).text.lower()
    assert "look at the columns" in words
    assert "look at the pictures" not in words
    assert "look at the pairs" not in words


def test_a_page_says_that_it_shows_real_data_only_if_it_does(report, image_class):
    said = "This report shows real training data"
    assert said in Page(html.render(report)).text
    bare = replace(image_class, real=None, nearest=None)
    for shown in (replace(report, classes=(bare,)), replace(report, show_real=False)):
        assert said not in Page(html.render(shown)).text


def test_too_few_samples_for_fidelity_are_told(report):
    made = evaluation()
    few = made.fidelity[0] | {"overall": None, "num_synthetic": 4}
    text = Page(html.render(replace(report, evaluation=replace(made, fidelity=(few,))))).text
    assert text.count("The evaluation had too few samples for it: 4 synthetic and 90 real samples.") == 2
    assert "riemaug evaluate measures it" not in text
