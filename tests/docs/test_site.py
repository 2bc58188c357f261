"""The documentation as a site: it builds without a warning, and its links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from hearsight.config.settings import setting_keys

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
hooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hooks)


def build(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "DOCS_REPO_URL": "", **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    result = build(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


class Links(HTMLParser):
    """What a page links to and loads, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.targets.append(given["href"])
        elif tag in ("img", "script", "link") and (target := given.get("src") or given.get("href")):
            self.loaded.append(target)


def read(path: Path) -> Links:
    links = Links()
    links.feed(path.read_text())
    return links


def test_every_link_and_picture_leads_somewhere(site):
    pages = {path: read(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 20
    broken = []
    for path, links in pages.items():
        for target in links.targets + links.loaded:
            parts = urlsplit(target)
            if parts.scheme or target.startswith("//"):
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not there.exists():
                broken.append((path.name, target))
            elif parts.fragment and there in pages and parts.fragment not in pages[there].anchors:
                broken.append((path.name, target))
    assert not broken


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = {target for path in site.rglob("*.html") for target in read(path).loaded}
    assert not [target for target in loaded if urlsplit(target).scheme in ("http", "https")]


def test_the_quick_start_is_the_readme(site):
    text = (site / "index.html").read_text()
    assert "make serve" in text and 'src="images/page/conversation-desktop-light.webp"' in text


def test_the_settings_are_all_there(site):
    text = (site / "configuration.html").read_text()
    for key in setting_keys():
        assert f"<code>{key}</code>" in text, key


def test_programs_are_no_part_of_the_site(site):
    assert not list(site.rglob("*.py"))


def test_where_the_source_can_be_seen_links_lead_to_it(tmp_path):
    result = build(tmp_path, DOCS_REPO_URL="https://git.example/hearsight")
    assert result.returncode == 0, result.stdout + result.stderr
    targets = read(tmp_path / "python.html").targets
    assert "https://git.example/hearsight/blob/main/examples/client.py" in targets


PAGES = {
    "docs/index.md",
    "docs/page.md",
    "docs/decisions/index.md",
    "docs/decisions/0001-x.md",
    "docs/images/a.svg",
}


@pytest.mark.parametrize(
    ("at", "text", "expected"),
    [
        ("README.md", "[the page](docs/page.md)", "[the page](page.md)"),
        ("README.md", "[why](docs/decisions)", "[why](decisions/index.md)"),
        ("README.md", "![drawn](docs/images/a.svg)", "![drawn](images/a.svg)"),
        ("README.md", "[Apache 2.0](LICENSE).", "Apache 2.0."),
        ("docs/page.md", "[one](decisions/0001-x.md#why)", "[one](decisions/0001-x.md#why)"),
        ("docs/page.md", "[up](../examples/client.py)", "up"),
        ("docs/decisions/0001-x.md", "[page](../page.md)", "[page](../page.md)"),
        ("docs/page.md", "[here](#keys) and <https://a.example>", "[here](#keys) and <https://a.example>"),
        ("docs/page.md", "[there](https://a.example/x.md)", "[there](https://a.example/x.md)"),
        ("README.md", "[`code`](LICENSE) [is](LICENSE)", "`code` is"),
        ("README.md", "```sh\n[not a link](LICENSE)\n```", "```sh\n[not a link](LICENSE)\n```"),
    ],
)
def test_links_are_as_the_site_needs_them(at, text, expected):
    assert hooks.with_links(text, at, PAGES, "") == expected


def test_links_out_of_the_documentation_lead_to_the_source_where_it_can_be_seen():
    led = hooks.with_links(
        "[client](../examples/client.py)", "docs/python.md", PAGES, "https://git.example/h/"
    )
    assert led == "[client](https://git.example/h/blob/main/examples/client.py)"
