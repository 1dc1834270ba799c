"""The blocks of the pages that need tools of other people run, in order with those that do not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?:python|py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [page for page in sorted(ROOT.glob("docs/**/*.md")) if "\n```py\n" in page.read_text()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page, home, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(home))
    scope = {}
    for text in BLOCK.findall(page.read_text()):
        exec(compile(text, page.name, "exec"), scope)
    scope["backend"].provider.close()
