#!/usr/bin/env python3
"""Other tools' price files, read by Spendrail, against those tools themselves: every model of litellm and genai-prices
under 19 usages, and what they sell by the piece. Each difference has a named rule, with the reason; one without fails.

    python tests/differential/differential.py            after `make setup`, and the packages: see `make differential`

The tools run in an environment of their own (`--peers`, an interpreter that has both), because they bring dependencies.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from collections import Counter, defaultdict
from decimal import Decimal

from rules import explain
from shapes import PIECES, USAGES

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "target" / "differential"
# Their floats carry binary noise.
NEAR = Decimal("1e-9")


def guard_of(file):
    import spendrail

    # Held back entries are compared too.
    prices = {"builtin": False, "files": [str(file)], "quarantine": False}
    return spendrail.Guard(config={"prices": prices, "telemetry": {"mode": "off"}})


def ours(guard, answer, at):
    """What Spendrail says: the cost of what has a rate, and which buckets have none; None for an unknown model."""
    import spendrail

    usage, tier = USAGES[answer["shape"]]
    for provider, model in names(answer):
        try:
            cost = guard.cost(model, usage, provider=provider, at=at, tier=tier)
        except spendrail.Error:
            continue
        return Decimal(str(cost.total)), list(cost.unpriced)
    return None, []


def names(answer):
    """What a caller of Spendrail names."""
    theirs, model = answer["provider"], answer["model"]
    if answer["by"] == "genai-prices":
        return [({"zai": "z-ai"}.get(theirs, theirs), model)]
    provider = "vertex" if theirs.startswith("vertex_ai") else theirs
    provider = {"fireworks_ai-embedding-models": "fireworks", "azure_text": "azure"}.get(provider, provider)
    bare = model.split("/", 1)[1] if "/" in model else model
    return [(provider, bare), (provider, model)] if model.split("/")[0] != bare else [(provider, model)]


def same(mine, theirs):
    return abs(mine - theirs) <= NEAR * max(abs(mine), abs(theirs))


def compare(by, answers, guard, entries, at):
    counts, unexplained, models = Counter(), [], defaultdict(set)
    for answer in answers:
        models["all"].add((answer["provider"], answer["model"]))
        mine, unpriced = ours(guard, answer, at)
        theirs = Decimal(answer["cost"]) if "cost" in answer else None
        if mine is not None and theirs is not None and not unpriced and same(mine, theirs):
            counts["agree"] += 1
            continue
        rule = explain(by, answer, mine, theirs, unpriced, entries)
        counts[rule or "UNEXPLAINED"] += 1
        if rule is None:
            unexplained.append((answer, mine, unpriced))
    return counts, unexplained, len(models["all"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, help="a Python that has litellm and genai-prices")
    parser.add_argument("--keep", action="store_true", help="use the answers of the run before")
    parser.add_argument("--show", type=int, default=40, help="how many unexplained differences to print")
    options = parser.parse_args()
    TARGET.mkdir(parents=True, exist_ok=True)
    if not options.keep:
        subprocess.run(
            [options.peers, str(HERE / "peers.py"), str(TARGET)],
            check=True,
            env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL", "PATH": "/usr/bin:/bin"},
        )
    lines = [json.loads(line) for line in (TARGET / "answers.jsonl").open()]
    at, answers = lines[0]["at"], lines[1:]
    failed = False
    for by, file in (("litellm", "litellm.json"), ("genai-prices", "genai-prices.json")):
        raw = json.loads((TARGET / file).read_text())
        entries = raw if by == "litellm" else {(p["id"], m["id"]): m for p in raw for m in p["models"]}
        rows = [answer for answer in answers if answer["by"] == by]
        counts, unexplained, models = compare(by, rows, guard_of(TARGET / file), entries, at)
        pieces = sum(answer["shape"] in PIECES for answer in rows)
        print(f"\n{by}: {models} models, {len(rows)} answers, {pieces} of them about pieces")
        for rule, count in counts.most_common():
            print(f"  {count:>7}  {100 * count / len(rows):6.2f} %  {rule}")
        for answer, mine, unpriced in unexplained[: options.show]:
            theirs = answer.get("cost", answer.get("error"))
            print(f"  unexplained: {answer['model']} {answer['shape']}: ours {mine} {unpriced}, theirs {theirs}")
        failed = failed or bool(unexplained)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
