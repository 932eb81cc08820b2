//! The closed table of codes. Every denial, error and flag that leaves Spendrail carries one of these; every
//! binding proves that it maps all of them.

/// What a code speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer "no".
    Denial,
    /// Bad input: fix the call or the file.
    Input,
    /// The machinery could not answer.
    Fault,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $kind:ident, $status:literal;)+) => {
        /// A stable, snake_case code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// The text that is stable across versions and languages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)+ }
            }

            /// Denial, bad input or fault.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Code::$name => Kind::$kind,)+ }
            }

            /// The HTTP status that a service in front of users would answer with (RFC 9110, RFC 6585).
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Code::$name => $status,)+ }
            }
        }
    };
}

codes! {
    /// A budget has not enough left.
    BudgetExceeded = "budget_exceeded", Denial, 402;
    /// A budget in requests, tool calls or concurrent calls is full: try later.
    RateExceeded = "rate_exceeded", Denial, 429;
    /// A run limit is reached: calls, tool calls, cost, tokens, depth or duration.
    RunLimitExceeded = "run_limit_exceeded", Denial, 402;
    /// The same request was made too often in one run.
    LoopDetected = "loop_detected", Denial, 402;
    /// No catalog entry with a price.
    UnknownModel = "unknown_model", Denial, 403;
    /// Several providers sell a model of this name and the call names none.
    AmbiguousModel = "ambiguous_model", Denial, 403;
    /// The entry has no rate for something that this call can be billed for.
    UnpricedBucket = "unpriced_bucket", Denial, 403;
    /// No maximum output: neither stated nor in the catalog.
    UnboundedOutput = "unbounded_output", Denial, 403;
    /// The size of the input is neither stated nor to be counted, and the catalog has no context size.
    UnboundedInput = "unbounded_input", Denial, 403;
    /// `[scope] require` names a dimension that this call does not have.
    ScopeMissing = "scope_missing", Denial, 403;
    /// An operator's or a file's stop covers this call.
    Stopped = "stopped", Denial, 403;
    /// A path that may cost money and that Spendrail does not know.
    UnguardedEndpoint = "unguarded_endpoint", Denial, 403;
    /// The run has ended.
    RunClosed = "run_closed", Denial, 403;
    /// The ledger holds `max_accounts` accounts.
    TooManyAccounts = "too_many_accounts", Denial, 503;
    /// `require_shared = true` and the memory ledger would be one of several.
    LedgerNotShared = "ledger_not_shared", Denial, 503;

    /// A configuration or a price file that does not hold.
    ConfigInvalid = "config_invalid", Input, 400;
    /// A price file that does not hold.
    PricesInvalid = "prices_invalid", Input, 400;
    /// Not an amount, or not one of the right unit.
    AmountInvalid = "amount_invalid", Input, 400;
    /// Beyond what one operation or one limit may carry.
    AmountTooLarge = "amount_too_large", Input, 400;
    /// A label, name or id that is empty, too long or not UTF-8.
    LabelInvalid = "label_invalid", Input, 400;
    /// An argument of the wrong type or out of its range.
    ArgumentInvalid = "argument_invalid", Input, 400;
    /// A usage that no provider's convention explains.
    UsageInvalid = "usage_invalid", Input, 400;
    /// The same id with other content.
    IdReused = "id_reused", Input, 409;
    /// Not a token of this library, or a damaged one.
    TokenInvalid = "token_invalid", Input, 400;
    /// No budget of this name.
    BudgetUnknown = "budget_unknown", Input, 404;
    /// No stop of this id.
    StopUnknown = "stop_unknown", Input, 404;
    /// More than 64 legs on one call.
    TooManyLegs = "too_many_legs", Input, 400;
    /// The hold is settled, released or detached already.
    HoldClosed = "hold_closed", Input, 409;

    /// The ledger could not be asked.
    LedgerUnavailable = "ledger_unavailable", Fault, 503;
    /// An account that this process has seen is gone.
    LedgerLost = "ledger_lost", Fault, 503;
    /// The guard is closed.
    Closed = "closed", Fault, 503;
    /// The hold was made by another process (before a fork).
    HoldForeign = "hold_foreign", Fault, 409;
    /// A file could not be read or watched.
    Io = "io", Fault, 500;
    /// A defect of Spendrail: please report it.
    Internal = "internal", Fault, 500;
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
