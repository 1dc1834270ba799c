"""What is shown in a notebook is text where users wrote it."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.html import folded, heading, image, line, table


class Reader(HTMLParser):
    """Collects the texts and the tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts, self.tags = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.texts += [value for key, value in attrs if key == "alt"]

    def handle_data(self, data):
        self.texts.append(data)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_is_shown_as_it_is(text):
    for page, tags in (
        (heading(text), ["div", "b"]),
        (line(text), ["div"]),
        (folded(text, ""), ["details", "summary"]),
        (image(b"png", text), ["img"]),
        (table([text], [[text]]), ["table", "thead", "tr", "th", "tbody", "tr", "td"]),
    ):
        read = Reader(page)
        assert read.tags == tags
        assert "".join(read.texts) in (text, text * 2)
