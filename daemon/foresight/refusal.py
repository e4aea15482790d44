"""Why a rule does not take a file, in words: the first reason, as a scan would come upon it. Pure."""

from __future__ import annotations

from daemon.groups import partners
from daemon.groups.gathering import takes
from daemon.groups.groups import places_of
from daemon.intake.match import IGNORED, ignored, matches
from daemon.model import Rule


def refusal(rule: Rule, root: str, relative: str) -> str | None:
    """Why a file below a watched folder is none of this rule's; None if it is."""
    if hidden := [part for part in relative.split("/") if ignored(part)]:
        return f"{hidden[0]!r} is a name never taken ({', '.join(IGNORED)})"
    if not rule.recursive and "/" in relative:
        return "takes nothing from subfolders (recursive: false)"
    if not matches(rule.match, relative):
        return f"takes only {', '.join(rule.match)}"
    if rule.inputs and not takes(rule, root, relative):
        return "has it in every group already, as a file that stays where it is"
    if rule.inputs and not any(places_of(rule.inputs, relative)):
        return f"makes groups of {partners.wanted(rule)}; this is none of them, rename it"
    return None
