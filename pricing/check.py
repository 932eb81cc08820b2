#!/usr/bin/env python3
"""Checks the price catalog that Spendrail ships, and compiles it into what the library embeds.

    python pricing/check.py                      check, then write compiled/ (`make prices`)
    python pricing/check.py --check              check only; a stale compiled file is a fault (the gate)
    python pricing/check.py --cross-check        compare with two published catalogs too (`make check-prices`)

Needs Python 3.11 (or tomli) and jsonschema. What is checked: `plausible`; what is compiled: `compiler`; what is
compared: `cross`.
"""

import argparse
import datetime
import json
import sys
import time

import compiler
from files import HERE, all_files
from plausible import faults, shared_names, without_output_limit


def main():
    today = datetime.date.fromisoformat(time.strftime("%Y-%m-%d", time.gmtime()))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; a stale compiled file is a fault")
    parser.add_argument("--cross-check", action="store_true", help="compare with litellm and genai-prices")
    parser.add_argument("--all", action="store_true", help="with --cross-check: print every rate")
    parser.add_argument("--differ", action="store_true", help="with --cross-check: print every difference and its note")
    parser.add_argument("--on", default=today.isoformat(), help="the day to price on (default: today)")
    parser.add_argument("--max-age", type=int, default=120, help="days after which a price must be checked again")
    parser.add_argument("--warnings", action="store_true", help="print the chat models without an output limit")
    options = parser.parse_args()
    schema = json.loads((HERE / "schema" / "catalog.schema.json").read_text())
    catalogs = all_files()
    found = [f"{c.path.name}: {fault}" for c in catalogs for fault in faults(c, schema, today, options.max_age)]
    found += shared_names(catalogs)
    texts = compiler.compiled(catalogs)
    if options.check or options.cross_check:
        found += [f"compiled/{name} is stale: run `make prices`" for name in compiler.stale(texts)]
    elif not found:
        compiler.write(texts)
    if options.cross_check:
        import cross
        from generate import stale_files
        from pairs import Catalogs

        theirs = Catalogs()
        found += cross.check(catalogs, theirs, options.on, options)
        found += stale_files(theirs)
    unlimited = list(without_output_limit(catalogs))
    for name in unlimited if options.warnings else []:
        print(f"warning: {name}: no max_output_tokens")
    for fault in found:
        print(f"error: {fault}", file=sys.stderr)
    models = sum(len(catalog.models) for catalog in catalogs)
    print(
        f"{len(catalogs)} files, {models} models, {len(found)} faults, "
        f"{len(unlimited)} chat models without an output limit (--warnings names them)"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
