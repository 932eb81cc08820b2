"""The demo: `make demo`, or `python tests/e2e/demo.py` where the bindings are built.

A provider, an OTLP receiver and the agents of two tenants run as processes of their own. The provider counts
what it bills without knowing of Spendrail. The exit status is 0 only if everything in the last list is true.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import story
import table
from claims import BOTH, Claim, all_claims
from evidence import Evidence, service_name
from processes import Child, ChildError
from story import Tenant

Json = dict[str, Any]

HERE: Final = Path(__file__).resolve().parent
NODE_PACKAGE: Final = HERE.parent.parent / "bindings-node" / "package.json"
DEADLINE_S: Final = 60.0
BEFORE_PRICES: Final = ("researcher", "runaway", "shapes", "prices")
AFTER_PRICES: Final = ("reloaded", "spent", "balances", "closed")


class Demo:
    """One run of the story in a folder that is removed afterwards."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.started = time.monotonic()
        self.deadline = self.started + DEADLINE_S
        self.tenants = story.tenants()
        self.reports: dict[str, dict[str, Json]] = {tenant.name: {} for tenant in self.tenants}
        self.midnights: dict[str, int] = {}
        (folder / "prices").mkdir()
        (folder / "spendrail.toml").write_text(story.config(*self.tenants))
        (folder / story.PRICE_FILE).write_text(story.price_file("list prices", story.BEFORE))
        (folder / "provider.json").write_text(json.dumps(story.provider_table("1", story.BEFORE)))

    def run(self) -> Evidence:
        """Plays the story. Errors: `ChildError` when a process fails or is late."""
        provider = self.child("provider", [sys.executable, str(HERE / "provider.py"), "provider.json"])
        collector = self.child("collector", [sys.executable, str(HERE / "collector.py")])
        self.provider_url = provider.report(self.deadline)["url"]
        self.collector = collector.report(self.deadline)
        tell(f"provider at {self.provider_url}")
        tell(f"OTLP receiver at {self.collector['http']} (HTTP) and {self.collector['grpc']} (gRPC)")

        agents = {tenant.name: self.agents(tenant) for tenant in self.tenants}
        for tenant in self.tenants:
            self.follow(tenant, agents[tenant.name], BEFORE_PRICES)
        self.change_prices()
        for tenant in self.tenants:
            self.midnights[tenant.name] = tenant.day_ends(datetime.now(timezone.utc))
            agents[tenant.name].order({"go": "prices"})
        for tenant in self.tenants:
            self.follow(tenant, agents[tenant.name], AFTER_PRICES)
        exits = {name: child.end() for name, child in agents.items()}
        return Evidence(
            tenants=self.tenants,
            reports=self.reports,
            exits=exits,
            midnights=self.midnights,
            journal=ask(f"{self.provider_url}/__journal"),
            received=ask(f"{self.collector['http']}/__received"),
        )

    def child(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Child:
        """A process that lives no longer than the demo."""
        log = self.folder / f"{name}.log"
        return self.stack.enter_context(Child(name, command, log, self.folder, env))

    def agents(self, tenant: Tenant) -> Child:
        """The process of one tenant's agents, told everything on its command line and by OTEL_* variables."""
        given = {
            "config": str(self.folder / "spendrail.toml"),
            "provider": self.provider_url,
            "tenant": tenant.name,
            "budget": story.BUDGET,
            "claude": story.CLAUDE,
            "gpt": story.GPT,
            "embedding": story.EMBEDDING,
            "unknown_model": story.UNKNOWN_MODEL,
            "runaway_calls": story.RUNAWAY_CALLS,
            "runaway_script": story.RUNAWAY_SCRIPT,
            "probe_script": story.PROBE_SCRIPT,
            "node_package": str(NODE_PACKAGE),
        }
        programs = {
            "Python": [sys.executable, str(HERE / "agents" / "python_agents.py")],
            "Node": [os.environ.get("NODE", "node"), str(HERE / "agents" / "node_agents.mjs")],
        }
        grpc = tenant.protocol == "grpc"
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector["grpc" if grpc else "http"],
            "OTEL_EXPORTER_OTLP_PROTOCOL": tenant.protocol,
            "OTEL_SERVICE_NAME": service_name(tenant.name),
        }
        return self.child(tenant.name, [*programs[tenant.language], json.dumps(given)], env)

    def follow(self, tenant: Tenant, agents: Child, steps: tuple[str, ...]) -> None:
        """Takes the reports of these steps, in this order, and tells what happened."""
        for step in steps:
            report = agents.report(self.deadline)
            if report.get("step") != step:
                raise ChildError(f"{tenant.name}: expected step {step!r}, got {report}")
            self.reports[tenant.name][step] = report
            denied = report.get("denied")
            who = f"{tenant.name} ({tenant.language}), {step}"
            if denied:
                tell(f"{who}: denied, {denied['code']}: {denied['message']}")
            elif step not in ("balances", "closed"):
                tell(f"{who}: done")

    def change_prices(self) -> None:
        """The provider has other prices from now on; the application's price file is replaced by rename."""
        post(f"{self.provider_url}/__prices", story.provider_table("2", story.AFTER))
        written = self.folder / "contract.new"
        written.write_text(story.price_file("new prices", story.AFTER))
        written.replace(self.folder / story.PRICE_FILE)
        tell("the provider has new prices, and the watched price file was replaced")


def ask(url: str) -> Json:
    with urllib.request.urlopen(url, timeout=5) as reply:
        answer: Json = json.load(reply)
        return answer


def post(url: str, body: Json) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), method="POST")
    urllib.request.urlopen(request, timeout=5).close()


def tell(text: str) -> None:
    print(f"· {text}", flush=True)


def main() -> int:
    """0 if every claim holds, 1 if one does not, 2 if the story could not be played."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    folder = Path(tempfile.mkdtemp(prefix="spendrail-demo-"))
    try:
        with ExitStack() as stack:
            demo = Demo(folder, stack)
            evidence = demo.run()
            took = time.monotonic() - demo.started
    except (ChildError, OSError) as problem:
        print(f"\nThe demo could not be played: {problem}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    claims = [*all_claims(evidence), Claim(BOTH, "it took less than a minute", True, took < DEADLINE_S)]
    print(f"\n{table.arrivals(evidence)}\n\n{table.verdicts(claims)}\n\n{table.summary(evidence)}\n")
    false = [claim for claim in claims if not claim.holds]
    if false:
        print(f"{len(false)} of {len(claims)} claims are FALSE: see above.")
        return 1
    print(f"All {len(claims)} claims are true. {took:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
