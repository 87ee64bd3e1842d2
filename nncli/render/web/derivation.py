"""The screens of a derivation as a page: a section each, with links from one to the next."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nncli.render.document import Page
from nncli.render.web.blocks import to_html
from nncli.render.web.page import WebPage, escape


class Section(NamedTuple):
    """A screen: its heading, and what is below it."""

    heading: str
    blocks: Page


def derivation_page(title: str, intro: Page, sections: Sequence[Section]) -> WebPage:
    """It needs no script: its links are all that moves."""
    entries = "".join(
        f'<li><a href="#step-{k}">{escape(section.heading)}</a>'
        for k, section in enumerate(sections, 1)
    )
    contents = f'<nav aria-label="the steps"><ol>{entries}</ol></nav>'
    parts = "\n".join(_parts(sections))
    return WebPage(title, f"<main>\n{to_html(intro)}\n{contents}\n{parts}\n</main>")


def _parts(sections: Sequence[Section]) -> Iterator[str]:
    count = len(sections)
    for k, section in enumerate(sections, 1):
        links = [f'<a href="#step-{k - 1}">back</a>'] if k > 1 else []
        links += [f'<a href="#step-{k + 1}">on</a>'] if k < count else []
        yield (
            f'<section id="step-{k}" aria-labelledby="heading-{k}">'
            f'<h2 id="heading-{k}">{k} of {count}: {escape(section.heading)}</h2>\n'
            f'{to_html(section.blocks)}\n<p class="note">{" · ".join(links)}</p></section>'
        )
