"""Asks PyPI for known weaknesses in the packages that are installed here.

Ends with status 1 if there are any. Where PyPI's advisories cannot be reached, as behind a mirror that has
packages only, it says so and ends with 0: a check that fails for want of a network is soon switched off.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import NamedTuple

COMMAND = (
    "pip_audit",
    "--local",
    "--skip-editable",
    "--progress-spinner=off",
    "--timeout=15",
    "--format=json",
)
ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern this program, each with the reason."""

_UNREACHABLE = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|NameResolution|Max retries exceeded|"
    r"Received 40[34]|40[34] Client Error|50[0-9] Server Error",
)


class Verdict(NamedTuple):
    """What came of it."""

    status: int
    message: str


def judge(status: int, output: str, errors: str) -> Verdict:
    """What a run of pip-audit has found."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, LookupError, TypeError):
        if _UNREACHABLE.search(errors):
            return Verdict(
                0, "Skipped: PyPI's advisories cannot be reached from here, so nothing was audited."
            )
        return Verdict(status or 1, f"The audit itself has failed:\n{errors[-2000:].strip()}")
    found = [
        f"{package['name']} {package['version']}: {each['id']}"
        + (
            f", mended in {', '.join(each['fix_versions'])}"
            if each.get("fix_versions")
            else ", not mended yet"
        )
        for package in packages
        for each in package.get("vulns", ())
        if not ACCEPTED.keys() & {each["id"], *each.get("aliases", ())}
    ]
    if found:
        return Verdict(1, "\n".join(["Known weaknesses:", *sorted(found)]))
    skipped = [package["name"] for package in packages if "vulns" not in package]
    audited = len(packages) - len(skipped)
    if packages and not audited:
        # A mirror answers, and has packages but no advisories.
        return Verdict(0, "Skipped: what answers for PyPI here knows no advisories; nothing was audited.")
    besides = f"; not audited: {', '.join(sorted(skipped))}" if skipped else ""
    return Verdict(0, f"No known weaknesses in {audited} packages{besides}.")


def main() -> int:
    """Audit this interpreter's packages."""
    run = subprocess.run([sys.executable, "-m", *COMMAND], capture_output=True, text=True, check=False)
    verdict = judge(run.returncode, run.stdout, run.stderr)
    sys.stdout.write(f"{verdict.message}\n")
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
