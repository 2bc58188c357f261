"""How findings are shown, to people and to machines."""

import json

from rich.console import Console

from hearsight.findings import Finding, as_json, healthy, show_findings


def test_signs_and_verdict(capsys):
    findings = [
        Finding("a", "ok", "fine"),
        Finding("b", "note", "[odd]", "Mend [b]."),
        Finding("c", "failed", "broken"),
    ]
    assert not healthy(findings) and healthy(findings[:2])
    show_findings(findings, Console(width=80, color_system=None))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["✓  a  fine", "!  b  [odd]", "      Mend [b].", "✗  c  broken", "Needs mending: c."]
    show_findings(findings[:2], Console(width=80, color_system=None))
    assert capsys.readouterr().out.splitlines()[-1] == "Ready to serve."
    assert json.loads(as_json(findings))["findings"][1]["found"] == "[odd]"
