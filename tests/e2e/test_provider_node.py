"""The local provider, seen through the real Node SDKs (`openai` and `@anthropic-ai/sdk`)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from provider import Provider
from test_provider_openai import closed

HERE = Path(__file__).parent
SDKS = Path(os.environ.get("SPENDRAIL_NODE_PACKAGE", HERE.parent.parent / "bindings-node" / "package.json"))


def test_the_node_sdks_understand_every_shape(provider: Provider) -> None:
    command = ["node", str(HERE / "agents" / "node_sdk_check.mjs"), provider.url, str(SDKS)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, f"{run.stderr}\n(npm packages are expected next to {SDKS})"
    told = json.loads(run.stdout)

    assert told["chat"]["prompt_tokens_details"]["cached_tokens"] == 5
    assert told["chat"]["completion_tokens"] == 7
    assert told["chatStream"]["contents"] == 6 and told["chatStream"]["last"]["choices"] == []
    assert told["chatStream"]["last"]["usage"]["completion_tokens"] == 6
    assert json.loads(told["tool"]["arguments"]) == {"query": "step 1"} and told["tool"]["name"] == "search"
    assert told["responses"]["kinds"][-1] == "response.completed"
    assert told["responses"]["usage"]["output_tokens"] == 3
    assert told["embedding"] == 4
    assert told["claude"]["cache_read_input_tokens"] == 9 and told["claude"]["output_tokens"] == 4
    assert told["claudeStream"]["kinds"] == ["thinking", "text"]
    assert told["claudeStream"]["usage"]["output_tokens"] == 13
    assert told["errors"] == ["rate_limit_exceeded", 529]
    entry = closed(provider)
    assert entry["outcome"] == "client_closed" and 3 <= entry["tokens"]["output"] < 30
    assert all("JS" in request["user_agent"] for request in provider.journal.to_json()["requests"])
