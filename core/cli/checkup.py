"""`hone doctor`: what works on this machine, line by line."""

from __future__ import annotations

import argparse
import dataclasses

from core.cli.output import ProgressLine, say, say_json
from core.doctor import examine
from core.errors import HoneError

MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


def show_checkup(options: argparse.Namespace) -> int:
    """Print each finding as it is known. Raises HoneError, after all are told, when there is a problem."""
    findings = []
    line = ProgressLine()
    for finding in examine():
        line.clear()
        findings.append(finding)
        if not options.json:
            say(f"{MARKS[finding.state]}  {finding.name}: {finding.text}")
            if finding.remedy:
                say(f"         → {finding.remedy}")
        line.show("Still looking …")
    line.clear()
    problems = [finding for finding in findings if finding.state == "problem"]
    if options.json:
        say_json({"ok": not problems, "findings": [dataclasses.asdict(finding) for finding in findings]})
    if problems:
        names = ", ".join(dict.fromkeys(finding.name for finding in problems))
        raise HoneError(
            f"{len(problems)} of {len(findings)} checks found a problem ({names}); each names its remedy."
        )
    return 0
