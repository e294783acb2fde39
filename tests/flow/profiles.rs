//! Each preset with an exchange as its server makes it, in `exchanges/`: what is sent to it, what of
//! its replies is accepted, and what is nearly right and refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use mcp_deputy::exchange::reply::CalloutReply;
use mcp_deputy::transaction::{Event, Step};
use serde_json::{Map, Value, json};

use super::stage::*;

/// An exchange; times are in seconds from when it is made.
struct Recorded {
    preset: String,
    exchange: Value,
    inbound: String,
}

impl std::ops::Index<&str> for Recorded {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        &self.exchange[name]
    }
}

fn recorded() -> Vec<Recorded> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/flow/exchanges");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let preset = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let exchange: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let defaults = json!({"may_act": null, "exp": 600});
        let inbound = token(at_now(merge(defaults, exchange["inbound"].clone())));
        Recorded { preset, exchange, inbound }
    };
    files.map(read).collect()
}

/// These claims at the test's time.
fn at_now(mut claims: Value) -> Value {
    for name in ["iat", "nbf", "exp"] {
        if let Some(time) = claims.get(name).and_then(Value::as_u64) {
            claims[name] = json!(NOW + time);
        }
    }
    claims
}

impl Recorded {
    fn stage(&self) -> Stage {
        let mut configuration = configuration();
        let common = configuration["exchange"].clone();
        configuration["exchange"] = merge(common, self["exchange"].clone());
        configuration["issuers"][0]["max_lifetime"] = json!("24h");
        let policy = &mut configuration["policies"]["ledger"];
        policy["audience"] = self["delegation"]["audience"].clone();
        policy["lifetime"] = self["delegation"]["lifetime"].clone();
        policy["tools"]["listAccounts"]["delegation"]["scope"] =
            self["delegation"]["scope"].clone();
        Stage::with(configuration)
    }

    /// Its reply, with a token of its claims, in which these differ.
    fn reply(&self, changes: &Value) -> CalloutReply {
        let none = json!({});
        let changed = |name: &str| changes.get(name).unwrap_or(&none).clone();
        let claims = at_now(merge(self["claims"].clone(), changed("claims")));
        let token_type = changes.get("typ").unwrap_or(&self["typ"]).as_str().unwrap();
        let issued = json!({"access_token": sign_as(token_type, &claims)});
        reply(200, merge(merge(issued, self["reply"].clone()), changed("reply")))
    }

    /// The status, and the audit record, of a call whose exchange is answered so; 0 for none.
    fn outcome(&self, reply: CalloutReply) -> (u16, Value) {
        let mut stage = self.stage();
        let (mut stream, step) = stage.send(&self.inbound, &call("listAccounts"));
        let callout = exchange_callout(&mut stage, step);
        let settled = stage.settle(&callout, Ok(reply)).unwrap();
        let status = match stream.event(&mut stage, Event::Exchanged(settled.result.as_ref())) {
            Step::Continue(_) => 0,
            step => step.reply().status,
        };
        (status, stream.close(&mut stage, status).unwrap())
    }
}

#[test]
fn every_preset_has_a_recorded_exchange() {
    let schema: Value =
        serde_json::from_str(include_str!("../../schema/config.schema.json")).unwrap();
    let presets = schema["$defs"]["Preset"]["oneOf"].as_array().unwrap().iter();
    let presets: BTreeSet<String> =
        presets.map(|preset| preset["const"].as_str().unwrap().to_owned()).collect();
    assert_eq!(presets, recorded().into_iter().map(|recorded| recorded.preset).collect());
}

#[test]
fn each_server_is_asked_for_what_it_understands() {
    for recorded in recorded() {
        let mut stage = recorded.stage();
        let (_, step) = stage.send(&recorded.inbound, &call("listAccounts"));
        let callout = exchange_callout(&mut stage, step);
        let sent: Map<String, Value> = form(&callout)
            .into_iter()
            .map(|(name, value)| {
                let value = value.replace(&recorded.inbound, "$SUBJECT_TOKEN");
                (name, value.replace(ACTOR_TOKEN, "$ACTOR_TOKEN").into())
            })
            .collect();
        let preset = &recorded.preset;
        assert_eq!(Value::Object(sent), recorded["request"], "{preset}");
        let headers: Vec<&str> = callout.headers.iter().map(|(name, _)| *name).collect();
        let expected = [":method", ":path", ":authority", "content-type", "accept"];
        assert_eq!(headers, expected, "{preset}: Envoy adds the credentials");
    }
}

#[test]
fn a_reply_of_each_server_is_accepted() {
    for recorded in recorded() {
        let (status, record) = recorded.outcome(recorded.reply(&json!({})));
        let preset = &recorded.preset;
        assert_eq!((status, &record["decision"]), (0, &json!("allow")), "{preset}: {record}");
        let target = &recorded["delegation"];
        let delegated = &record["delegation"];
        assert_eq!(
            (&delegated["scope"], &delegated["audience"]),
            (&target["scope"], &target["audience"]),
            "{preset}"
        );
    }
}

#[test]
fn the_actors_before_this_gateway_are_kept_for_the_audit() {
    let recorded = recorded();
    let generic = recorded.iter().find(|recorded| recorded.preset == "generic").unwrap();
    let (_, record) = generic.outcome(generic.reply(&json!({})));
    assert_eq!(record["delegation"]["actors"], json!(["gateway", "agent"]));

    let chain = |length: usize| {
        let nest = |act: Value, actor: usize| json!({"sub": format!("agent {actor}"), "act": act});
        let act = (2..length).fold(json!({"sub": "first"}), nest);
        json!({"claims": {"act": {"sub": "gateway", "act": act}}})
    };
    assert_eq!(generic.outcome(generic.reply(&chain(8))).0, 0);
    let (status, record) = generic.outcome(generic.reply(&chain(9)));
    assert_eq!((status, &record["detail"]), (502, &json!("malformed_claims")));
}

#[test]
fn what_is_nearly_the_reply_of_each_server_is_refused() {
    for recorded in recorded() {
        let audience = &recorded["claims"]["aud"];
        let audience = audience.as_str().or(audience[0].as_str()).unwrap();
        let longer = recorded["claims"]["exp"].as_u64().unwrap() + 1;
        let everywhere = json!({
            "another audience": {"claims": {"aud": "other"}, "detail": "wrong_audience"},
            "one more audience": {
                "claims": {"aud": [audience, "other"]}, "detail": "wrong_audience",
            },
            "a longer life": {"claims": {"exp": longer}, "detail": "lifetime_too_long"},
            "a longer life in the reply": {
                "reply": {"expires_in": 100_000},
                "detail": "it lives longer than the rule allows",
            },
            "another issuer": {
                "claims": {"iss": "https://evil.example"}, "detail": "wrong_issuer",
            },
            "a token of another type": {"typ": "logout+jwt", "detail": "wrong_type"},
            "an opaque token": {"reply": {"access_token": "opaque"}, "detail": "not_compact"},
            "a DPoP token": {
                "reply": {"token_type": "DPoP"}, "detail": "the token is not a bearer token",
            },
            "the caller's token": {
                "reply": {"access_token": recorded.inbound},
                "detail": "the caller's own token came back",
            },
        });
        for (what, changes) in everywhere.as_object().unwrap().iter().chain(recorded.refused()) {
            let (status, record) = recorded.outcome(recorded.reply(changes));
            let what = format!("{}, {what}: {record}", recorded.preset);
            assert_eq!((status, &record["detail"]), (502, &changes["detail"]), "{what}");
            assert_eq!(record.get("delegation"), None, "{what}");
        }
    }
}

impl Recorded {
    fn refused(&self) -> &Map<String, Value> {
        let refused = self["refused"].as_object().unwrap();
        assert!(refused.len() >= 4, "{}", self.preset);
        refused
    }
}
