//! A policy as it is written: the raw side of [`Policy`](super::Policy).
//!
//! One file in `policies/` is one of these, and so is one entry of `policies` in the pushed
//! configuration.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use crate::config::Duration;
use crate::mcp::ServerRequest;

/// What callers may do at one MCP server. Rules only allow: what no rule allows is refused.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[cfg_attr(not(target_arch = "wasm32"), schemars(rename = "Policy"))]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The downstream service that the delegation tokens are for, their `aud`, unless a delegation
    /// names another.
    pub audience: Option<String>,
    /// The longest lifetime of a delegation token that is accepted, unless a delegation says
    /// otherwise.
    #[serde(default = "five_seconds")]
    pub lifetime: Duration,
    /// Whether the rules that do not say it themselves are enforced.
    pub enforcement: Option<Enforcement>,
    /// What goes upstream with a request that has no object: initialize, ping, lists,
    /// notifications, streams.
    pub baseline: Baseline,
    /// What the MCP server has. Rules for anything else are mistakes, and so are rules for nothing.
    #[serde(default)]
    pub declares: Declares,
    /// The rules by tool: a name, or all that begin as one that ends with `*`. The exact name wins
    /// over a pattern, a longer pattern over a shorter.
    #[serde(default)]
    pub tools: BTreeMap<String, Rules>,
    /// The rules by prompt, as for tools. They hold for completing a prompt's arguments too.
    #[serde(default)]
    pub prompts: BTreeMap<String, Rules>,
    /// The rules by resource: an absolute URI, or all below one that ends with `/*`. They hold for
    /// reading, subscribing and completing alike.
    #[serde(default)]
    pub resources: BTreeMap<String, Rules>,
    /// The rules by method, for methods without an object: in place of the baseline's.
    #[serde(default)]
    pub methods: BTreeMap<String, Rules>,
    /// The requests of the server to the client that the client may answer, in a session. An answer
    /// goes up as the baseline says.
    #[serde(default = "ping")]
    pub server_requests: Vec<ServerRequest>,
}

/// What an MCP server has, as far as rules name it.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Declares {
    /// The names of all its tools.
    pub tools: Option<Vec<String>>,
    /// The names of all its prompts.
    pub prompts: Option<Vec<String>>,
}

/// Whether a rule decides or is on trial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// It decides.
    #[default]
    Enforce,
    /// What it would deny is allowed under its delegation, and stands in the audit record.
    Shadow,
}

/// How a request that has no object goes upstream.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// Under a delegation token of its own.
    Delegation(Delegation),
    /// Under no token at all.
    WithoutToken,
}

/// The ways in which an object may be used, one or several: the first that holds allows.
#[derive(Debug, Default)]
pub struct Rules(pub Vec<Rule>);

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Rules;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a rule or a list of rules")
            }

            fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<Rules, A::Error> {
                Rule::deserialize(MapAccessDeserializer::new(one)).map(|rule| Rules(vec![rule]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, several: A) -> Result<Rules, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(several)).map(Rules)
            }
        }
        input.deserialize_any(OneOrSeveral)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl schemars::JsonSchema for Rules {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rules".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let rule = generator.subschema_for::<Rule>();
        let several = generator.subschema_for::<Vec<Rule>>();
        schemars::json_schema!({
            "description": "One rule, or several: the first that holds allows.",
            "anyOf": [rule, several],
        })
    }
}

/// One way in which a tool, prompt, resource or method may be used.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What must hold, all of it.
    #[serde(default)]
    pub require: Require,
    /// What a caller is told for whom it does not hold: one plain sentence that a model can relay.
    pub message: Option<String>,
    /// In which form.
    #[serde(default)]
    pub denial: DenialShape,
    /// Whether the rule decides; by default as the policy says.
    pub enforcement: Option<Enforcement>,
    /// The token under which the call goes upstream.
    pub delegation: Delegation,
    /// The members, by name, that lose their values wherever they stand in the MCP server's answer.
    pub redact: Option<Vec<String>>,
}

/// In which form a caller is denied who lacks what could be had: a scope, or a stronger or fresher
/// sign-in. Where nothing would help, a step-up becomes an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DenialShape {
    /// HTTP 403 with a challenge that names the scopes, or 401 with one that asks for the sign-in
    /// (RFC 9470), so that the client can obtain it. Lists show the object to everyone who could;
    /// in the other forms, to those alone who have it.
    #[default]
    StepUp,
    /// HTTP 200 with a JSON-RPC error: the model reads the message, the client does not step up.
    Error,
    /// HTTP 403 without a challenge.
    Forbidden,
    /// As if it did not exist.
    Hidden,
}

/// What must hold for a rule to allow: all that is written here.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Require {
    /// Scopes that the caller's token must all carry.
    pub scopes: Option<Vec<String>>,
    /// Scopes of which it must carry at least one.
    pub any_scope: Option<Vec<String>>,
    /// The clients that may call.
    pub clients: Option<Vec<String>>,
    /// Conditions on the token's claims, by name, or by JSON Pointer if it begins with `/`
    /// (RFC 6901).
    pub claims: Option<BTreeMap<String, Condition>>,
    /// Authentication context classes, one of which the user must have signed in with (RFC 9470).
    pub acr_values: Option<Vec<String>>,
    /// How long ago the user may have signed in at the most (RFC 9470).
    pub max_age: Option<Duration>,
    /// When calls are allowed.
    pub time: Option<Time>,
    /// Conditions on the call's arguments, by name, or by JSON Pointer if it begins with `/`.
    pub arguments: Option<BTreeMap<String, Condition>>,
    /// Whether the call may have top-level arguments that `arguments` does not name.
    #[serde(default)]
    pub other_arguments: OtherArguments,
}

/// What of arguments that no condition names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OtherArguments {
    /// They may be there.
    #[default]
    Allow,
    /// The rule does not hold if there are any.
    Deny,
}

/// What a claim or an argument must be: all that is written here. Types are never converted:
/// `"1"` is not `1`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Whether it must be there.
    #[serde(default)]
    pub presence: Presence,
    /// It is this string, number, boolean or null.
    #[serde(default, deserialize_with = "present")]
    pub equals: Option<Value>,
    /// It is one of these.
    #[serde(rename = "in")]
    pub one_of: Option<Vec<Value>>,
    /// It is a list with this element.
    #[serde(default, deserialize_with = "present")]
    pub includes: Option<Value>,
    /// It is a number and not less.
    pub min: Option<Number>,
    /// It is a number and not more.
    pub max: Option<Number>,
    /// It is a string of at least so many characters, or a list of so many elements.
    pub min_length: Option<u64>,
    /// It is a string of at most so many characters, or a list of so many elements.
    pub max_length: Option<u64>,
    /// It is a string that matches this regular expression as a whole.
    pub matches: Option<String>,
    /// It is a list, and this holds for each element.
    pub each: Option<Box<Condition>>,
    /// It is an object, and this holds for its members.
    pub members: Option<BTreeMap<String, Condition>>,
    /// It is what this claim of the caller's token is. For arguments alone.
    pub equals_claim: Option<String>,
    /// It is an element of the list that this claim is. For arguments alone.
    pub in_claim: Option<String>,
}

/// Whether what a condition is about must be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It must be there.
    #[default]
    Required,
    /// If it is there, the condition holds for it.
    Optional,
    /// It must not be there.
    Absent,
}

/// When calls are allowed, by the gateway's clock: all that is written here.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// On these days.
    pub days: Option<Vec<Day>>,
    /// From this time of the day on, `HH:MM`.
    pub from: Option<String>,
    /// Before this time of the day, `HH:MM`; `24:00` is its end.
    pub until: Option<String>,
    /// In which time days and times of the day are told: `+HH:MM` or `-HH:MM` from UTC.
    pub utc_offset: Option<String>,
    /// Not before this moment (RFC 3339).
    pub not_before: Option<String>,
    /// Not at or after this moment (RFC 3339).
    pub not_after: Option<String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// What to ask the authorization server for, and what its answer must match.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// The one scope of the delegation token.
    pub scope: String,
    /// Its audience; by default the policy's.
    pub audience: Option<String>,
    /// The longest lifetime that is accepted; by default the policy's.
    pub lifetime: Option<Duration>,
    /// Whether the token may serve for later calls of the same caller, as long as it lives.
    #[serde(default = "yes")]
    pub cache: bool,
    /// Binds the token to this one call (RFC 9396), of a tool. It is never used for another then.
    pub authorization_details: Option<AuthorizationDetails>,
}

/// What the authorization server is told of a call, to be said again in the token: an object with this
/// `type`, the audience in `locations`, the tool in `identifier`, and the `arguments`.
#[derive(Debug, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuthorizationDetails {
    /// Its `type`, which the authorization server knows.
    pub r#type: String,
    /// The arguments that it holds, by name, or by JSON Pointer if it begins with `/`.
    #[serde(default)]
    pub arguments: Vec<String>,
}

fn ping() -> Vec<ServerRequest> {
    vec![ServerRequest::Ping]
}

const fn yes() -> bool {
    true
}

/// A value that is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(input).map(Some)
}

const fn five_seconds() -> Duration {
    Duration::seconds(5)
}
