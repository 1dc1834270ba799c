"""Builds these pages as a site, with a reference of the API made from the docstrings: ``make docs``."""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent

project = "pulsed"
version = release = version_of("pulsed")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"pulsed {release}"
html_copy_source = html_show_copyright = html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f3a8a", "color-brand-content": "#1f3a8a"},
    "dark_css_variables": {"color-brand-primary": "#9ab6ff", "color-brand-content": "#9ab6ff"},
}
exclude_patterns = ["monitoring"]
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
add_module_names = False
toc_object_entries_show_parents = "hide"
napoleon_use_ivar = True  # an attribute of a class docstring may have a line of its own, too
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "exclude-members": "model_config", "show-inheritance": True}
python_use_unqualified_type_names = True
suppress_warnings = ["config.cache"]

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
PARTS = {
    "learn": "Tutorial", "get something done": "How to", "understand": "Understand", "look something up": "Reference"
}  # fmt: skip
"""What the rows of the table of ``index.md`` are called in the navigation."""


def listed(index: str) -> dict[str, list[str]]:
    """Return the pages that each row of the table of ``index.md`` names, by its first cell."""
    rows = [line.split("|")[1:3] for line in index.splitlines() if line.startswith("|") and "](" in line]
    return {first.strip(): [target for _, target in _LINK.findall(links)] for first, links in rows}


def toctree(index: str) -> str:
    """Return what puts every page into the navigation, in the order of ``index.md``."""
    parts = []
    for row, pages in listed(index).items():
        names = "\n".join(page.removesuffix(".md") for page in pages)
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {PARTS[row]}\n\n{names}\n```")
    return "\n\n".join(parts)


def folder_toctree(docname: str) -> str:
    """Return what puts the pages beside a folder's ``README.md`` below it."""
    folder = (DOCS / docname).parent
    names = sorted(path.stem for path in folder.glob("*.md") if path.stem != "README")
    return "```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```"


def shown(text: str, docname: str) -> str:
    """Return a page with its links to files that are no pages as their names: the site stands without the sources."""
    folder = (DOCS / docname).parent

    def replaced(match: re.Match[str]) -> str:
        label, target = match.groups()
        path = (folder / target.partition("#")[0]).resolve()
        if re.match(r"#|[a-z]+:", target) or path.is_relative_to(DOCS):
            return match.group()
        name = str(path.relative_to(DOCS.parent))
        return label if name in label else f"{label} (`{name}`)"

    return _LINK.sub(replaced, text)


def _read(_: Any, docname: str, source: list[str]) -> None:
    text = shown(source[0], docname)
    if docname == "index":
        text += "\n\n" + toctree(text)
    elif docname.endswith("/README"):
        text += "\n\n" + folder_toctree(docname)
    source[0] = text


def _plain(_: Any, what: str, *rest: Any) -> None:
    """Keep napoleon from taking what stands before the first colon of an attribute's text for its type."""
    if what in ("attribute", "data", "property"):
        rest[-1][:0] = ["..", ""]  # an empty comment: napoleon looks at the first line alone


def setup(app: Any) -> None:
    """Have every page and every docstring read as the site needs it."""
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _plain, priority=400)
