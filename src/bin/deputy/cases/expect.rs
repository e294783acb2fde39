//! What decision cases expect.

use std::borrow::Cow;
use std::fmt;

use mcp_deputy::config::{Duration, Problems, did_you_mean};
use mcp_deputy::policy::rule::Authentication;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::Surroundings;

/// What becomes of a call: `allow` or `deny`, alone or with particulars.
#[derive(Debug, Clone)]
pub enum Expect {
    /// It goes upstream.
    Allow(Allow),
    /// It is refused.
    Deny(Deny),
}

/// Particulars of a call that goes upstream; what is not written may be anything.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// The rule that allows it, as in `tools.listAccounts` or `tools.pay[1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The scope of the delegation token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Its audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// What would become of it if the rule were not in shadow. Without this, the rule must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_deny: Option<Deny>,
}

/// Particulars of a call that is refused; what is not written may be anything.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// The rule that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The word in the audit record. Without this and `message`, it must be a rule that refuses:
    /// that none names the object is expected by `no_rule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The sentence for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The scopes that the challenge names, in any order; `[]` if none would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_up: Option<Vec<String>>,
    /// The sign-in that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
}

/// A stronger or fresher sign-in (RFC 9470).
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The authentication context classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr_values: Option<Vec<String>>,
    /// How long ago it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}

impl SignIn {
    /// The sign-in that a rule needs.
    pub fn new(needed: &Authentication) -> Self {
        let classes = || needed.acr_values.iter().map(ToString::to_string).collect();
        let seconds = needed.max_age.and_then(|age| u32::try_from(age).ok());
        Self {
            acr_values: (!needed.acr_values.is_empty()).then(classes),
            max_age: seconds.map(Duration::seconds),
        }
    }
}

impl Expect {
    pub(super) fn check(&self, path: &str, around: &Surroundings, problems: &mut Problems) {
        match self {
            Self::Allow(allow) => {
                let path = format!("{path}.allow");
                check_rule(allow.rule.as_ref(), &path, around, problems);
                if let Some(deny) = &allow.would_deny {
                    deny.check(&format!("{path}.would_deny"), around, problems);
                }
            }
            Self::Deny(deny) => deny.check(&format!("{path}.deny"), around, problems),
        }
    }

    /// As the verdict has it: rules with the policy's name, scopes in order.
    pub fn verdict(&self, policy: &str) -> Value {
        let named = |rule: &Option<String>| rule.as_ref().map(|rule| format!("{policy}.{rule}"));
        let deny = |deny: &Deny| {
            let mut deny = Deny { rule: named(&deny.rule), ..deny.clone() };
            deny.step_up.iter_mut().for_each(|scopes| scopes.sort());
            deny
        };
        match self {
            Self::Allow(allow) => {
                let would_deny = allow.would_deny.as_ref().map(deny);
                let allow = Allow { rule: named(&allow.rule), would_deny, ..allow.clone() };
                json!({ "allow": allow })
            }
            Self::Deny(expected) => json!({ "deny": deny(expected) }),
        }
    }
}

impl Deny {
    fn check(&self, path: &str, around: &Surroundings, problems: &mut Problems) {
        check_rule(self.rule.as_ref(), path, around, problems);
        for (index, scope) in self.step_up.iter().flatten().enumerate() {
            if !around.config.scopes.contains(scope) {
                let message = format!("unknown scope `{scope}`");
                let known = around.config.scopes.iter();
                problems.add_unknown(format!("{path}.step_up[{index}]"), message, scope, known);
            }
        }
    }
}

fn check_rule(rule: Option<&String>, path: &str, around: &Surroundings, problems: &mut Problems) {
    let Some(rule) = rule.filter(|rule| !around.rules.contains(*rule)) else { return };
    let (path, message) = (format!("{path}.rule"), format!("unknown rule `{rule}`"));
    // Their names begin alike, so the nearest says more than all.
    match did_you_mean(rule, around.rules.iter().map(String::as_str)) {
        Some(near) => problems.add_with_help(path, message, format!("did you mean `{near}`?")),
        None => problems.add_with_help(path, message, "write it like `tools.listAccounts`"),
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Detailed {
            Allow(Allow),
            Deny(Deny),
        }
        struct PlainOrDetailed;
        impl<'de> Visitor<'de> for PlainOrDetailed {
            type Value = Expect;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("`allow` or `deny`, alone or with particulars")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Expect, E> {
                match word {
                    "allow" => Ok(Expect::Allow(Allow::default())),
                    "deny" => Ok(Expect::Deny(Deny::default())),
                    _ => Err(E::unknown_variant(word, &["allow", "deny"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expect, A::Error> {
                let detailed = Detailed::deserialize(MapAccessDeserializer::new(map))?;
                Ok(match detailed {
                    Detailed::Allow(allow) => Expect::Allow(allow),
                    Detailed::Deny(deny) => Expect::Deny(deny),
                })
            }
        }
        input.deserialize_any(PlainOrDetailed)
    }
}

impl JsonSchema for Expect {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (allow, deny) = (generator.subschema_for::<Allow>(), generator.subschema_for::<Deny>());
        let object = |name: &str, schema: Schema| {
            json_schema!({
                "type": "object",
                "properties": {name: schema},
                "required": [name],
                "additionalProperties": false
            })
        };
        json_schema!({
            "description": "What becomes of a call: `allow` or `deny`, alone or with particulars.",
            "anyOf": [{"enum": ["allow", "deny"]}, object("allow", allow), object("deny", deny)]
        })
    }
}
