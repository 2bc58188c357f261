"""What mkdocs does beside rendering the pages: those that are written from something else, and the links.

The pages are read on GitHub as well, where a link may lead to any file of the repository. On the site, links
between pages stay; others lead to where the source is shown (``repo_url``), or become plain text where that
is unknown.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from hearsight.config.reference import reference

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written from something else."""
    written = {
        "index.md": (ROOT / "README.md").read_text(),
        "configuration.md": reference(),
        "decisions/index.md": decisions(),
    }
    for name, text in written.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let every link lead somewhere on the site."""
    at = "README.md" if page.file.src_uri == "index.md" else f"docs/{page.file.src_uri}"
    pages = {f"docs/{file.src_uri}" for file in files}
    return with_links(markdown, at, pages, str(config.repo_url or ""))


def decisions() -> str:
    """A list of the decisions."""
    found = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    lines = [
        f"- [{path.read_text().partition(chr(10))[0].removeprefix('# ')}]({path.name})" for path in found
    ]
    return "\n".join(
        ["# Decisions", "", "Why things are as they are, and what was tried and dropped.", "", *lines, ""]
    )


def with_links(markdown: str, at: str, pages: set[str], repo_url: str) -> str:
    """The same text with links as the site needs them.

    Args:
        markdown: A page, with links as the repository has them.
        at: Where it stands in the repository.
        pages: What the site holds, by its place in the repository.
        repo_url: Where the source is shown; empty where that is unknown.
    """

    def lead(link: re.Match[str]) -> str:
        picture, text, target = link.groups()
        path, hash_, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return link[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(at), path))
        place = f"{place}/index.md" if f"{place}/index.md" in pages else place
        if place in pages:
            site_at = "docs/index.md" if at == "README.md" else at
            return f"{picture}[{text}]({posixpath.relpath(place, posixpath.dirname(site_at))}{hash_}{anchor})"
        return f"{picture}[{text}]({repo_url.rstrip('/')}/blob/main/{place})" if repo_url else text

    parts = CODE.split(markdown)
    fenced = [part if part.startswith("```") else None for part in parts]
    text = "".join(
        part if whole is None else f"\0{number}\0"
        for number, (part, whole) in enumerate(zip(parts, fenced, strict=True))
    )
    text = LINK.sub(lead, text)
    return re.sub(r"\0(\d+)\0", lambda kept: parts[int(kept[1])], text)
