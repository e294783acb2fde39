//! A token reply, check by check, and what it holds against what is expected.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_deputy::exchange::check::Check;
use mcp_deputy::exchange::reply::{CalloutReply, ExchangeError};
use mcp_deputy::exchange::settings::Profile;
use mcp_deputy::exchange::{Delegated, Target};
use mcp_deputy::token::Caller;
use serde_json::{Map, Value, json};

use super::request::Shown;
use crate::report::{BAD, GOOD, visible, written};

/// What a reply says, and what the filter makes of it.
pub struct Reply {
    pub result: Result<Delegated, ExchangeError>,
    /// Why there is none, in words.
    pub trouble: Option<String>,
    status: Option<u16>,
    /// What the server says of a failure.
    error: Vec<(&'static str, String)>,
    checks: Vec<(Check, Verdict)>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Pass,
    Fail,
    /// It was not reached, or does not apply.
    NotMade,
}

/// Something that a reply or its token holds.
struct Row {
    name: String,
    expected: String,
    found: Option<Shown>,
}

impl Reply {
    /// Sets what was heard against what the profile expects.
    pub fn new(
        profile: &Profile,
        caller: &Caller,
        target: &Target,
        heard: Option<CalloutReply>,
        begun: &[Check],
        result: Result<Delegated, ExchangeError>,
    ) -> Self {
        // One that was not even heard is not answered.
        let begun = if begun.is_empty() { &[Check::Answered] } else { begun };
        let failed = if result.is_err() { begun.last() } else { None };
        let checks = Check::ALL.map(|check| {
            let verdict = match () {
                () if failed == Some(&check) => Verdict::Fail,
                () if begun.contains(&check) => Verdict::Pass,
                () => Verdict::NotMade,
            };
            (check, verdict)
        });
        let status = heard.as_ref().and_then(|reply| reply.status);
        let body = heard.map(|reply| reply.body).unwrap_or_default();
        let members: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
        // Some servers quote what they do not accept.
        let hidden =
            |text: String| text.replace(caller.token.reveal(), "(the token of the caller)");
        let said = |name| members.get(name).map(|value| (name, hidden(written(value))));
        let error = ["error", "error_description"].into_iter().filter_map(said).collect();
        let rows = if members.contains_key("access_token") {
            rows(&members, profile, caller, target)
        } else {
            Vec::new()
        };
        Self { result, trouble: None, status, error, checks: checks.to_vec(), rows }
    }

    /// For people.
    pub fn text(&self) -> String {
        let status =
            self.status.map_or_else(|| "no reply".to_owned(), |code| format!("HTTP {code}"));
        let mut text = format!("{status}\n");
        for (name, value) in &self.error {
            let _ = writeln!(text, "  {name}: {}", visible(value));
        }
        if let Some(trouble) = &self.trouble {
            let _ = writeln!(text, "  {}", visible(trouble));
        }
        text.push('\n');
        for (check, verdict) in &self.checks {
            let _ = match verdict {
                Verdict::Pass => writeln!(text, "  {GOOD}pass{GOOD:#}  {check}"),
                Verdict::Fail => writeln!(text, "  {BAD}FAIL{BAD:#}  {check}{}", self.why()),
                Verdict::NotMade => writeln!(text, "  -     {check}"),
            };
        }
        if !self.rows.is_empty() {
            let width = |of: fn(&Row) -> &str| {
                self.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or_default()
            };
            let (names, expected) = (width(|row| &row.name), width(|row| &row.expected));
            let _ = writeln!(text, "\n  {:names$}  {:expected$}  found", "", "expected");
            for row in &self.rows {
                let found = row.found.as_ref().map_or_else(|| "-".to_owned(), Shown::text);
                let _ =
                    writeln!(text, "  {:names$}  {:expected$}  {found}", row.name, row.expected);
            }
        }
        let _ = match &self.result {
            Ok(delegated) => {
                writeln!(text, "\n{GOOD}delegated{GOOD:#}: token {}", visible(&delegated.id))
            }
            Err(error) => writeln!(text, "\n{BAD}refused{BAD:#}: {}", error.reason()),
        };
        text
    }

    fn why(&self) -> String {
        let detail = self.result.as_ref().err().and_then(ExchangeError::detail);
        detail.map(|detail| format!(": {detail}")).unwrap_or_default()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let checks = self.checks.iter().map(|(check, verdict)| {
            let result = match verdict {
                Verdict::Pass => "pass",
                Verdict::Fail => "fail",
                Verdict::NotMade => "not_made",
            };
            json!({"check": check.to_string(), "result": result})
        });
        let rows = self.rows.iter().map(|row| {
            let found = row.found.as_ref().map(Shown::json);
            json!({"name": row.name, "expected": row.expected, "found": found})
        });
        let error: Map<String, Value> =
            self.error.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "status": self.status,
            "error": error,
            "trouble": self.trouble,
            "checks": checks.collect::<Vec<_>>(),
            "holds": rows.collect::<Vec<_>>(),
            "token_id": self.result.as_ref().ok().map(|delegated| &delegated.id),
            "lifetime_s": self.result.as_ref().ok().map(|delegated| delegated.lifetime),
        })
    }
}

fn rows(
    reply: &Map<String, Value>,
    profile: &Profile,
    caller: &Caller,
    target: &Target,
) -> Vec<Row> {
    let expectations = profile.expectations(target);
    let token = reply.get("access_token").and_then(Value::as_str).unwrap_or_default();
    let mut parts = token.split('.').map(decoded);
    let (header, claims) = (parts.next().flatten(), parts.next().flatten());
    let mut rows = Vec::new();
    let mut row = |name: &str, expected: String, found: Option<Shown>| {
        rows.push(Row { name: name.to_owned(), expected, found });
    };
    let plain = |value: Option<&Value>| value.map(|value| Shown::Plain(written(value)));
    let lifetime = match expectations.max_lifetime {
        u64::MAX => "any".to_owned(),
        seconds => format!("at most {seconds}"),
    };
    row("access_token", "a token".to_owned(), Some(Shown::masked(token)));
    row("token_type", "Bearer".to_owned(), plain(reply.get("token_type")));
    row("issued_token_type", "as requested".to_owned(), plain(reply.get("issued_token_type")));
    row("expires_in", lifetime.clone(), plain(reply.get("expires_in")));
    row("scope", profile.scope(target), plain(reply.get("scope")));
    let (Some(header), Some(claims)) = (header, claims) else { return rows };
    let algorithms = profile.issuer.algorithms.iter().map(|algorithm| algorithm.as_str());
    row("token alg", algorithms.collect::<Vec<_>>().join(" or "), plain(header.get("alg")));
    row("token kid", "a key of the issuer".to_owned(), plain(header.get("kid")));
    let types = expectations.token_types.iter();
    let types = types.map(|name| if name.is_empty() { "none" } else { name });
    row("token typ", types.collect::<Vec<_>>().join(" or "), plain(header.get("typ")));
    row("token iss", profile.issuer.issuer.to_string(), plain(claims.get("iss")));
    row("token aud", expectations.audiences.join(" or "), plain(claims.get("aud")));
    let inbound = match &*profile.inbound_subject_claim {
        "sub" => caller.claims.subject.to_string(),
        name => caller.claims.members.get(name).map(written).unwrap_or_default(),
    };
    let subject = &*profile.subject_claim;
    row(&format!("token {subject}"), inbound, plain(claims.get(subject)));
    if let Some(path) = profile.actor_claim.path() {
        let mut place = path.split('.');
        let first = place.next().and_then(|name| claims.get(name));
        let found = place.fold(first, |value, name| value?.get(name));
        row(&format!("token {path}"), profile.actor.to_string(), plain(found));
    }
    for name in &expectations.scope_claims {
        row(&format!("token {name}"), profile.scope(target), plain(claims.get(&**name)));
    }
    let date = |name| claims.get(name).and_then(Value::as_u64);
    let lived = date("exp").zip(date("iat")).and_then(|(exp, iat)| exp.checked_sub(iat));
    row("token exp - iat", lifetime, lived.map(|seconds| Shown::Plain(seconds.to_string())));
    let latest = format!("at most {}, the caller's", caller.claims.expires_at);
    row("token exp", latest, plain(claims.get("exp")));
    rows
}

fn decoded(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
