import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from tests import report_records as records

from riemaug.report import ClassReport, classes_in_full, html
from riemaug.report.selection import MOST_IN_FULL

MANY = 60
POOR, FAIR = (3, 50), (45, 59)
COMPARED = {"nearest_distances": np.array([1.0, 2.0, 3.0]), "real_nearest_distances": np.array([2.0, 1.5])}


def plain(number):
    """A class that converged and has nothing to look at; without figures, which take time to draw."""
    return ClassReport(
        name=f"class {number:03d}",
        num_real=6,
        num_synthetic=3,
        diagnostics={"converged": True},
    )


def many(number=MANY, **changed):
    classes = [plain(index) for index in range(number)]
    for index in POOR:
        classes[index] = replace(classes[index], diagnostics={"converged": False, "message": "run on"})
    for index in FAIR:
        classes[index] = replace(classes[index], copies_near=1)
    for name, fields in changed.items():
        index = int(name.removeprefix("of_"))
        classes[index] = replace(classes[index], **fields)
    return tuple(classes)


class Page(HTMLParser):
    """The links, the ids, the sections of classes and the rows of the table of all classes."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.sections, self.open_sections = [], [], [], []
        self.feed(text)
        glance = text[text.index('<section id="glance"') : text.index('<section id="classes"')]
        self.rows = re.findall(r"<tr.*?</tr>", glance, re.DOTALL)[1:]

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        if found.get("class") == "class":
            self.sections.append(int(str(found["id"]).removeprefix("class-")))
            self.open_sections += [self.sections[-1]] if "open" in found else []


@pytest.fixture(scope="module")
def text():
    return html.render(records.report(*many(of_58=COMPARED)))


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_up_to_forty_classes_are_all_in_full():
    assert MOST_IN_FULL == 40
    assert classes_in_full(many()[:40], "mixture") == frozenset(range(40))
    page = Page(html.render(records.report(*many()[:40])))
    assert page.sections == list(range(40))
    assert not [name for name in page.ids if name.startswith("row-")]


def test_of_more_the_worst_come_first_and_then_the_first_ones():
    in_full = classes_in_full(many(), "mixture")
    assert in_full == {*POOR, *FAIR, *[index for index in range(37) if index not in POOR]}
    assert len(in_full) == MOST_IN_FULL


def test_a_poor_class_is_preferred_to_one_that_needs_a_look():
    fair = tuple(replace(item, copies_near=1) for item in many())
    in_full = classes_in_full(fair, "mixture")
    assert in_full == {*POOR, *[index for index in range(39) if index not in POOR]}


def test_sections_keep_the_order_of_the_classes_and_the_first_is_open(page):
    assert page.sections == sorted(classes_in_full(many(), "mixture"))
    assert page.open_sections == [0]
    worst = tuple(replace(item, copies_exact=1) if item.name >= "class 020" else item for item in many())
    assert Page(html.render(records.report(*worst))).open_sections == [3]


def test_every_class_has_a_row_with_its_state(page):
    assert len(page.rows) == MANY
    cells = [re.findall(r"<td.*?>(.*?)</td>", row) for row in page.rows]
    assert cells[58][2] == "2.00 / 1.75"  # medians of the distances
    assert cells[57][2] == "– / –"
    assert [found[1] for found in cells] == ["no" if index in POOR else "yes" for index in range(MANY)]
    assert [found[0].count("problem") for found in cells] == [int(i in POOR) for i in range(MANY)]
    assert [found[0].count("look") for found in cells] == [int(i in FAIR) for i in range(MANY)]
    assert all(f"class {index:03d}" in row for index, row in enumerate(page.rows))


def test_no_link_leads_nowhere(page):
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    with_section = {int(link.removeprefix("#class-")) for link in page.links if link.startswith("#class-")}
    assert with_section == set(page.sections)


def test_a_warning_about_a_class_that_is_not_in_full_leads_to_its_row():
    worst = tuple(replace(item, copies_exact=1) for item in many())
    text = html.render(records.report(*worst[:41], replace(plain(41), copies_near=1)))
    warnings = text[text.index('<section id="warnings"') : text.index('<section id="data"')]
    assert '<a href="#row-41"><bdi>class 041</bdi></a>' in warnings
    assert '<tr id="row-41"><th scope="row"><bdi>class 041</bdi></th>' in text
    assert "The other 2 have a row" in text
    assert "2 of them need a look too" in text


def test_the_headline_counts_all_classes_and_the_page_says_what_is_left_out(text):
    assert "180 synthetic samples for 60 classes, made from 360 real ones." in text
    assert "The sampler did not converge for 2 of 60 classes." in text
    assert "There are 60 classes. Pictures, maps and figures of 40 are shown here" in text
    assert "The other 20 have a row in" in text
    assert "need a look too" not in text


def test_pictures_of_other_classes_are_not_in_the_file(rng):
    pictures = {"synthetic": records.pictures(rng, 3), "real": records.pictures(rng, 4)}
    text = html.render(records.report(*many(of_0=pictures, of_36=pictures, of_58=pictures)))
    shown = set(re.findall(r"\.s(\d+) \.synthetic \{", text))
    assert shown == {"0", "36"}
    assert text.count("data:image/png") == 4


def test_a_class_more_takes_a_row_more():
    sizes = [len(html.render(records.report(*many(number)))) for number in (60, 160)]
    assert sizes[1] - sizes[0] < 100 * 1500


def test_the_fingerprint_names_no_more_classes_than_are_in_full():
    sizes = {f"class {number}": 6 for number in range(1, 43)}
    ((_, words),) = html.fingerprint_rows({"classes": sizes})
    assert words.startswith("42: class 1 (6), ")
    assert words.endswith("class 40 (6) and 2 more")
