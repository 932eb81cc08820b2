//! What the application asks for: one model call, or one tool call.

use crate::catalog::PriceContext;
use crate::codes::Code;
use crate::error::{Error, Result};
use crate::requests::{InputSize, OtherModel};
pub use crate::telemetry::ParentSpan;
use crate::telemetry::{Operation, RequestParams, Server};
use crate::values::scope::LABEL_BYTES_MAX;
use crate::values::{Amount, Dimension, Label, Scope, Timestamp, Usage};
use smallvec::SmallVec;
use std::sync::Arc;

/// Most tokens that a call may state: 2⁴⁰.
const TOKENS_MAX: u64 = crate::values::usage::QUANTITY_MAX;

/// A model call or a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A request to a model.
    Model,
    /// A client-side tool, with what it costs in nano-USD.
    Tool {
        /// The tool's name.
        name: Label,
        /// What one call of it costs, in nano-USD; 0 if it is free.
        cost: i64,
    },
}

/// One call, as the application sees it: automatic retries included.
///
/// ```
/// use spendrail::engine::Call;
/// let call = Call::new("anthropic", "claude-sonnet-4-6").tenant("acme").input_tokens(1_200).max_output_tokens(500);
/// ```
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) kind: CallKind,
    pub(crate) id: Option<Label>,
    pub(crate) provider: Option<Label>,
    pub(crate) model: Label,
    pub(crate) scope: Arc<Scope>,
    /// The scope is complete: nothing is added from the run.
    pub(crate) scope_is_whole: bool,
    pub(crate) input: Option<InputSize>,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) choices: u64,
    pub(crate) server_tools: Option<Box<Usage>>,
    pub(crate) other_models: SmallVec<[OtherModel; 1]>,
    pub(crate) context: Option<Box<PriceContext>>,
    pub(crate) fingerprint: Option<u64>,
    pub(crate) operation: Operation,
    pub(crate) stream: bool,
    pub(crate) params: Option<Box<RequestParams>>,
    pub(crate) server: Option<Arc<Server>>,
    pub(crate) parent: Option<ParentSpan>,
    /// The first thing that was wrong; told by `reserve`, so that building a call reads as one sentence.
    pub(crate) invalid: Option<Error>,
}

impl Call {
    /// A call of `model` at `provider` (`""`: any provider, if only one sells a model of this name).
    #[must_use]
    pub fn new(provider: &str, model: &str) -> Self {
        let mut call = Self {
            kind: CallKind::Model,
            id: None,
            provider: None,
            model: Label::from(""),
            scope: Arc::default(),
            scope_is_whole: false,
            input: None,
            max_output_tokens: None,
            choices: 1,
            server_tools: None,
            other_models: SmallVec::new(),
            context: None,
            fingerprint: None,
            operation: Operation::Chat,
            stream: false,
            params: None,
            server: None,
            parent: None,
            invalid: None,
        };
        call.provider = (!provider.is_empty()).then(|| call.bounded("provider", provider)).flatten();
        if let Some(model) = call.bounded("model", model) {
            call.model = model;
        }
        call
    }

    /// A call of a client-side tool; free unless [`Call::cost`] is given.
    #[must_use]
    pub fn tool(name: &str) -> Self {
        let mut call = Self::new("", "-");
        call.model = Label::from("");
        if let Some(name) = call.bounded("tool", name) {
            call.kind = CallKind::Tool { name, cost: 0 };
        }
        call
    }

    /// What one call of this tool costs, for example `"0.01 USD"`.
    #[must_use]
    pub fn cost(mut self, amount: &str) -> Self {
        match (Amount::parse_usd(amount), &mut self.kind) {
            (Ok(nano), CallKind::Tool { cost, .. }) => *cost = nano,
            (Ok(_), CallKind::Model) => {
                self.fail(
                    Error::new(Code::ArgumentInvalid, "only a tool call has a stated cost").field("cost"),
                );
            }
            (Err(error), _) => self.fail(error.field("cost")),
        }
        self
    }

    /// An id of the caller's own: the same call again with it is the same hold, not a second one.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = self.bounded("id", id);
        self
    }

    /// All input tokens, cached ones included.
    #[must_use]
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.input = self.count("input_tokens", tokens).map(InputSize::Bound);
        self
    }

    /// The most output tokens of one choice.
    #[must_use]
    pub fn max_output_tokens(mut self, tokens: u64) -> Self {
        self.max_output_tokens = self.count("max_output_tokens", tokens);
        self
    }

    /// How many choices are asked for (`n`).
    #[must_use]
    pub fn choices(mut self, choices: u64) -> Self {
        self.choices = self.count("choices", choices).unwrap_or(1).max(1);
        self
    }

    /// The paying customer.
    #[must_use]
    pub fn tenant(self, tenant: &str) -> Self {
        self.label(&Dimension::Tenant, tenant)
    }

    /// The person.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.label(&Dimension::User, user)
    }

    /// The product feature.
    #[must_use]
    pub fn feature(self, feature: &str) -> Self {
        self.label(&Dimension::Feature, feature)
    }

    /// The agent's name.
    #[must_use]
    pub fn agent(self, agent: &str) -> Self {
        self.label(&Dimension::Agent, agent)
    }

    /// The conversation's id.
    #[must_use]
    pub fn session(self, session: &str) -> Self {
        self.label(&Dimension::Session, session)
    }

    /// A free tag.
    #[must_use]
    pub fn tag(self, key: &str, value: &str) -> Self {
        self.label(&Dimension::Tag(key.into()), value)
    }

    /// An ordinary request: nothing in it changes what a token costs. Says whether it may write to a cache.
    pub(super) fn plain(&self) -> Option<bool> {
        if self.server_tools.is_some() {
            return None;
        }
        self.context.as_ref().map_or(Some(true), |context| context.plain())
    }

    /// One label of the scope.
    #[must_use]
    pub fn label(mut self, dimension: &Dimension, value: &str) -> Self {
        if let Err(error) = Arc::make_mut(&mut self.scope).set(dimension, Some(value)) {
            self.fail(error);
        }
        self
    }

    /// The whole scope at once, shared with other calls.
    #[must_use]
    pub fn scope(mut self, scope: Arc<Scope>) -> Self {
        self.scope = scope;
        self
    }

    /// The whole scope, the run's labels merged by the caller: a label that is missing here stays missing, whatever
    /// the run has. For owners of an ambient scope (the language bindings), where a label can be cleared.
    #[must_use]
    pub fn whole_scope(mut self, scope: Arc<Scope>) -> Self {
        self.scope = scope;
        self.scope_is_whole = true;
        self
    }

    /// What selects a price besides the model: tier, speed, geography.
    #[must_use]
    pub fn price_context(mut self, context: PriceContext) -> Self {
        self.context = Some(Box::new(context));
        self
    }

    /// The span that this call's span is made under.
    #[must_use]
    pub fn parent(mut self, parent: ParentSpan) -> Self {
        self.parent = Some(parent);
        self
    }

    /// The host that is addressed, for telemetry.
    #[must_use]
    pub fn server(mut self, server: Server) -> Self {
        self.server = Some(Arc::new(server));
        self
    }

    /// Tools that the provider runs and bills on its own, at most so often each (`web_search`).
    #[must_use]
    pub fn server_tools(mut self, most: Usage) -> Self {
        match most.checked() {
            Ok(most) => self.server_tools = (!most.is_empty()).then(|| Box::new(most)),
            Err(error) => self.fail(error.within("server_tools")),
        }
        self
    }

    /// A hash of the request's content, for the detector of repeats.
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: u64) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Everything that a provider's request says (see [`crate::requests::read`]).
    #[must_use]
    pub fn request(mut self, request: crate::requests::Request) -> Self {
        if let Some(model) = request.model {
            self.model = self.bounded("model", &model).unwrap_or(self.model);
        }
        self.input.get_or_insert(request.input_tokens);
        self.max_output_tokens = request.max_output_tokens.or(self.max_output_tokens);
        self.choices = request.choices.max(1);
        self.server_tools = (!request.server_tools.is_empty()).then(|| Box::new(request.server_tools));
        self.other_models = request.other_models;
        let selects = request.tier.is_some() || request.speed.is_some() || request.geo.is_some();
        if selects || !request.media.is_empty() || request.writes_cache.is_some() {
            let context = self.context.get_or_insert_default();
            context.tier = request.tier;
            context.speed = request.speed;
            context.geo = request.geo;
            context.media = !request.media.is_empty();
            context.writes_cache = request.writes_cache;
        }
        self.fingerprint = Some(request.fingerprint);
        self.operation = request.operation;
        self.stream = request.stream;
        self.params = Some(Box::new(request.params));
        self
    }

    /// A digest of what makes this call this call, for `id_reused`.
    #[must_use]
    pub(crate) fn content(&self, scope: &Scope) -> u64 {
        use std::hash::{BuildHasher, Hash, Hasher};
        let mut hasher = foldhash::fast::FixedState::default().build_hasher();
        (&self.provider, &self.model, scope, self.max_output_tokens, self.choices).hash(&mut hasher);
        let input = match self.input {
            Some(InputSize::Bound(tokens)) => (1u8, tokens),
            Some(InputSize::Context) => (2, 0),
            None => (0, 0),
        };
        (input, self.fingerprint).hash(&mut hasher);
        for (bucket, most) in self.server_tools.iter().flat_map(|tools| tools.iter()) {
            (bucket, most).hash(&mut hasher);
        }
        // The instant is not content: the same call again comes later.
        let selects = self.context.as_deref().map(|context| PriceContext {
            at: Timestamp::default(),
            ended_at: None,
            ..context.clone()
        });
        selects.hash(&mut hasher);
        if let CallKind::Tool { name, cost } = &self.kind {
            (name, cost).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// # Errors
    /// The first thing that was wrong with the call.
    pub(crate) fn valid(&self) -> Result<()> {
        match &self.invalid {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    fn bounded(&mut self, field: &str, text: &str) -> Option<Label> {
        let message = match text.len() {
            0 => "is empty".to_owned(),
            length if length > LABEL_BYTES_MAX => {
                format!("has {length} bytes, at most {LABEL_BYTES_MAX} are allowed")
            }
            _ => return Some(text.into()),
        };
        self.fail(Error::new(Code::LabelInvalid, message).field(field));
        None
    }

    fn count(&mut self, field: &str, tokens: u64) -> Option<u64> {
        if tokens <= TOKENS_MAX {
            return Some(tokens);
        }
        self.fail(
            Error::new(Code::AmountTooLarge, format!("{tokens} is above the maximum of 2^40")).field(field),
        );
        None
    }

    fn fail(&mut self, error: Error) {
        self.invalid.get_or_insert(error);
    }
}
