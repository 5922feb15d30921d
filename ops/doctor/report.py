"""Findings as a person and as a program reads them."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from ops.doctor.finding import Finding, Verdict, exit_code
from ops.rendering import counted

_MARK: Final = {Verdict.OK: "ok", Verdict.WARNING: "WARN", Verdict.FAILURE: "FAIL"}
_CHECK_CHARS: Final = 24


def report_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Say each finding in a line, what to do about it in one below, and the sum of all at the end."""
    for each in findings:
        yield f"{_MARK[each.verdict]:<5}{each.check:<{_CHECK_CHARS}}{each.said}"
        if each.do:
            yield f"{'':<5}{'':<{_CHECK_CHARS}}→ {each.do}"
    counts = Counter(each.verdict for each in findings)
    failures, warnings = counts[Verdict.FAILURE], counts[Verdict.WARNING]
    yield f"{counted(failures, 'failure')}, {counted(warnings, 'warning')}, {counts[Verdict.OK]} well"


def report_json(findings: Sequence[Finding]) -> str:
    """Write the findings as one JSON object."""
    said = {
        "exit_code": exit_code(findings),
        "findings": [
            {"check": each.check, "verdict": each.verdict.value, "said": each.said, "do": each.do}
            for each in findings
        ],
    }
    return json.dumps(said, ensure_ascii=False)
