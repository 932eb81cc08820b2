"""Spendrail: a guard rail for LLM spending.

    guard = spendrail.Guard("spendrail.toml")
    client = guard.wrap(anthropic.Anthropic())
    with guard.run(tenant="acme", agent="researcher", max_cost="0.50 USD") as run:
        reply = client.messages.create(...)      # reserved, called, settled; raises spendrail.Denied before it is sent
        spendrail.receipt_of(reply).cost

Money is exact: `Decimal` for a cost, whole nano-USD (`int`) for what budgets count, a text with its unit
(`"0.50 USD"`) for what an application states. A float is never money.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import Cost, CostLine, Hold, Receipt, Usage, __version__
    from .config import Budget, Limit, RunLimit, Telemetry
    from .errors import (
        BudgetExceeded,
        Closed,
        ConfigError,
        Denied,
        Error,
        IdReused,
        InvalidInput,
        LedgerUnavailable,
        LoopDetected,
        RateExceeded,
        RunLimitExceeded,
        Stopped,
        UnknownModel,
    )
    from .explanation import ExplainedLine, ExplainedMultiplier, Explanation, Place, Selection
    from .guard import Guard
    from .receipts import receipt_of
    from .records import Balance, Decision, Failure, Flushed, Page, Reloaded, Stop, ToppedUp
    from .run import Run, Tool
    from .scope import Scope
    from .statements import DenialCount, Entry, Simulation, simulate
else:
    # Each name is loaded when it is first used: importing the package costs next to nothing. The rest are errors.
    _HOMES = {
        **dict.fromkeys(("Cost", "CostLine", "Hold", "Receipt", "Usage", "__version__"), "_native"),
        **dict.fromkeys(("Budget", "Limit", "RunLimit", "Telemetry"), "config"),
        **dict.fromkeys(
            ("Balance", "Decision", "Failure", "Flushed", "Page", "Reloaded", "Stop", "ToppedUp"), "records"
        ),
        **dict.fromkeys(("DenialCount", "Entry", "Simulation", "simulate"), "statements"),
        **dict.fromkeys(("ExplainedLine", "ExplainedMultiplier", "Explanation", "Place", "Selection"), "explanation"),
        "Guard": "guard",
        "Run": "run",
        "Tool": "run",
        "Scope": "scope",
        "receipt_of": "receipts",
    }

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "Balance",
    "Budget",
    "BudgetExceeded",
    "Closed",
    "ConfigError",
    "Cost",
    "CostLine",
    "Decision",
    "DenialCount",
    "Denied",
    "Entry",
    "Error",
    "ExplainedLine",
    "ExplainedMultiplier",
    "Explanation",
    "Failure",
    "Flushed",
    "Guard",
    "Hold",
    "IdReused",
    "InvalidInput",
    "LedgerUnavailable",
    "Limit",
    "LoopDetected",
    "Page",
    "Place",
    "RateExceeded",
    "Receipt",
    "Reloaded",
    "Run",
    "RunLimit",
    "RunLimitExceeded",
    "Scope",
    "Selection",
    "Simulation",
    "Stop",
    "Stopped",
    "Telemetry",
    "Tool",
    "ToppedUp",
    "UnknownModel",
    "Usage",
    "__version__",
    "receipt_of",
    "simulate",
]
