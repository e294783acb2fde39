//! One record per transaction: who, through which client, did what, under which rule and token.
//!
//! No token and no secret is in it: tokens appear by `jti`, or a prefix of their SHA-256.

use std::fmt::Write;
use std::rc::Rc;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use crate::answer::Refusal;
use crate::clock::Now;
use crate::exchange::{Delegated, Target};
use crate::fingerprint::fingerprint;
use crate::mcp::{Object, Operation, Origin, Response, Task};
use crate::policy::{Denial, Permit};
use crate::token::Caller;

/// What became of a transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A rule allowed it.
    Allow,
    /// No rule allowed it, or the authorization server did not delegate it.
    Deny,
    /// The request was not fit to be judged, or the system failed.
    #[default]
    Refuse,
    /// It asked for what is public: metadata, preflight.
    Serve,
}

/// How a delegation token was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Asked for and made for this request, or for one that asked the same at the same time.
    Exchanged,
    /// Made for an earlier request.
    Cached,
    /// The caller's own token, which is what the exchange would give.
    Inbound,
}

/// What is known of one transaction, until its line is written.
#[derive(Debug, Default)]
pub struct Record {
    request_id: Option<Box<str>>,
    http_method: Box<str>,
    path: Box<str>,
    caller: Option<Rc<Caller>>,
    /// In place of it, if its token is not accepted.
    rejected: Option<Box<str>>,
    asked: Asked,
    batch: Vec<Asked>,
    answers: Option<&'static str>,
    decision: Decision,
    reason: Option<&'static str>,
    detail: Option<&'static str>,
    rule: Option<Rc<str>>,
    would_deny: Option<WouldDeny>,
    delegation: Option<(Rc<Target>, Rc<Delegated>, Source)>,
    went_up: bool,
    upstream_status: Option<u16>,
    redacted: u64,
}

/// The audit record as it is written.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    http_method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    /// Who acted before this gateway, by the inbound token, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prior_actors: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<&'a str>,
    #[serde(flatten)]
    asked: &'a Asked,
    /// In place of it, if the body is a batch.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    batch: &'a [Asked],
    /// In place of it, if the body is a response: the server's request that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<&'static str>,
    decision: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    /// What the decision would have been, were the rule that allowed it not in shadow.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_deny: Option<&'a WouldDeny>,
    policy_hash: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegation: Option<Delegation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_status: Option<u16>,
    /// How many values of the answer the rule withheld.
    #[serde(skip_serializing_if = "is_zero")]
    redacted: u64,
    status: u16,
    duration_ms: f64,
}

/// What a message asks for.
#[derive(Debug, Default, Serialize)]
struct Asked {
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Box<str>>,
}

impl Asked {
    fn new(operation: &Operation) -> Self {
        let mut asked = Self { method: Some(operation.method.as_str()), ..Self::default() };
        match &operation.object {
            Some(
                Object::Tool(name)
                | Object::Task(Task { origin: Some(Origin { tool: name, .. }), .. }),
            ) => {
                asked.tool = Some(text(name).into());
            }
            Some(Object::Prompt(name)) => asked.prompt = Some(text(name).into()),
            Some(Object::Resource(uri) | Object::ResourceTemplate(uri)) => {
                asked.resource = Some(text(uri).into());
            }
            _ => {}
        }
        asked
    }
}

#[derive(Debug, Serialize)]
struct Delegation<'a> {
    token_id: &'a str,
    scope: &'a str,
    audience: &'a str,
    lifetime_s: u64,
    actors: Vec<&'a str>,
    source: Source,
    /// Whether it is bound to this call; not by which arguments, which may be nobody's to read here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bound_to_call: bool,
}

/// A denial that a rule in shadow did not make.
#[derive(Debug, Serialize)]
struct WouldDeny {
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Box<str>>,
    reason: &'static str,
    message: Box<str>,
}

/// The longest text from outside that a record holds, in characters.
const LONGEST_TEXT: usize = 256;

/// Few records are longer, in bytes.
const USUAL_LINE: usize = 1024;

fn text(input: &str) -> &str {
    // There are no more characters than bytes, so most texts need not be counted.
    if input.len() <= LONGEST_TEXT {
        return input;
    }
    let end = input.char_indices().nth(LONGEST_TEXT).map_or(input.len(), |(end, _)| end);
    input.get(..end).unwrap_or_default()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn texts(input: &[Box<str>]) -> Vec<&str> {
    input.iter().map(|item| text(item)).collect()
}

impl Record {
    /// What came in.
    pub fn request(&mut self, id: Option<&str>, http_method: &str, path: &str) {
        self.request_id = id.map(|id| text(id).into());
        self.http_method = text(http_method).into();
        // The query may hold a token.
        self.path = text(path.split('?').next().unwrap_or_default()).into();
    }

    /// Who asks.
    pub fn caller(&mut self, caller: &Rc<Caller>) {
        self.caller = Some(Rc::clone(caller));
    }

    /// The token that was sent is not accepted: what it says of itself is not worth recording.
    pub fn rejected(&mut self, token: &str) {
        self.rejected = Some(fingerprint(token.as_bytes()));
    }

    /// For what.
    pub fn operation(&mut self, operation: &Operation) {
        self.asked = Asked::new(operation);
    }

    /// For what, each message of a batch.
    pub fn batch(&mut self, operations: &[Operation]) {
        self.batch = operations.iter().map(Asked::new).collect();
    }

    /// To answer what.
    pub fn response(&mut self, response: Response) {
        self.answers = Some(response.answers());
    }

    /// A rule allowed it.
    pub fn allowed(&mut self, permit: &Permit) {
        self.decision = Decision::Allow;
        self.rule = Some(Rc::clone(permit.rule()));
        self.would_deny = permit.would_deny().map(|denial| WouldDeny {
            rule: denial.rule.as_deref().map(Into::into),
            reason: denial.reason,
            message: text(&denial.message).into(),
        });
    }

    /// Whether it went up, though a rule in shadow would have denied it.
    #[must_use]
    pub fn is_shadow_denial(&self) -> bool {
        self.went_up && self.would_deny.is_some()
    }

    /// It goes up.
    pub fn forwarded(&mut self) {
        self.went_up = true;
    }

    /// It goes up under this token.
    pub fn delegated(&mut self, target: &Rc<Target>, delegated: &Rc<Delegated>, source: Source) {
        self.delegation = Some((Rc::clone(target), Rc::clone(delegated), source));
    }

    /// It is refused.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.decision = if refusal.is_denial() { Decision::Deny } else { Decision::Refuse };
        self.reason = Some(refusal.reason());
        self.detail = refusal.detail();
        if let Refusal::Denied(Denial { rule: Some(rule), .. }) = refusal {
            self.rule = Some(Rc::clone(rule));
        }
    }

    /// It asked for what is public.
    pub fn served(&mut self) {
        self.decision = Decision::Serve;
    }

    /// It was allowed, and its answer was cut off for this reason.
    pub fn cut_off(&mut self, reason: &'static str) {
        self.reason = Some(reason);
    }

    /// The MCP server answered.
    pub fn answered(&mut self, status: Option<u16>) {
        self.upstream_status = status;
    }

    /// So many more values of its answer were withheld.
    pub fn redacted(&mut self, count: u64) {
        self.redacted = self.redacted.saturating_add(count);
    }

    /// The record as one line of JSON, printable ASCII where it could mislead a terminal or a log
    /// reader. `status` is what the client got, 0 if it was gone.
    #[must_use]
    pub fn line(&self, policy_hash: &str, status: u16, started: Now, now: Now) -> String {
        let took = now.monotonic.saturating_sub(started.monotonic);
        let duration_ms = match u32::try_from(took.as_micros()) {
            Ok(micros) => f64::from(micros) / 1_000.0,
            // A stream of hours: whole ones, up to 49 days.
            Err(_) => u32::try_from(took.as_millis()).unwrap_or(u32::MAX).into(),
        };
        let millis = i64::try_from(started.unix.as_millis()).unwrap_or_default();
        let time = DateTime::from_timestamp_millis(millis).unwrap_or_default();
        let claims = self.caller.as_ref().map(|caller| &caller.claims);
        let unnamed = self.caller.as_ref().filter(|caller| caller.claims.id.is_none());
        let fingerprint = unnamed.map(|caller| caller.token.fingerprint());
        let token_id = claims.and_then(|claims| claims.id.as_deref());
        let delegation = self.delegation.as_ref().map(|(target, delegated, source)| Delegation {
            token_id: text(&delegated.id),
            scope: &target.scope,
            audience: &target.audience,
            lifetime_s: delegated.lifetime,
            actors: texts(&delegated.actors),
            source: *source,
            bound_to_call: target.authorization_details.is_some(),
        });
        let line = Line {
            time: time.to_rfc3339_opts(SecondsFormat::Millis, true),
            request_id: self.request_id.as_deref(),
            http_method: &self.http_method,
            path: &self.path,
            issuer: claims.map(|claims| text(&claims.issuer)),
            subject: claims.map(|claims| text(&claims.subject)),
            client: claims.and_then(|claims| claims.client.as_deref()).map(text),
            prior_actors: claims.map(|claims| texts(&claims.actors)).unwrap_or_default(),
            token_id: token_id.map(text).or(fingerprint.as_deref()).or(self.rejected.as_deref()),
            asked: &self.asked,
            batch: &self.batch,
            answers: self.answers,
            decision: self.decision,
            reason: self.reason,
            detail: self.detail,
            rule: self.rule.as_deref(),
            would_deny: self.would_deny.as_ref(),
            policy_hash,
            delegation,
            upstream_status: self.upstream_status,
            redacted: self.redacted,
            status,
            duration_ms,
        };
        let mut json = Vec::with_capacity(USUAL_LINE);
        let written = serde_json::to_writer(&mut json, &line);
        escape(written.ok().and_then(|()| String::from_utf8(json).ok()).unwrap_or_default())
    }
}

/// Escapes what serde leaves and a terminal or a log reader might obey: DEL, C1, line and paragraph
/// separators, changes of direction. In one line of JSON these stand in strings alone.
#[must_use]
pub fn escape(json: String) -> String {
    if json.is_ascii() && !json.contains('\u{7f}') {
        return json;
    }
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) {
            let _ = write!(line, "\\u{:04x}", u32::from(c));
        } else {
            line.push(c);
        }
    }
    line
}

/// Whether a terminal or a log reader might obey the character, or not show it.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l01_a_record_is_one_line_that_no_terminal_obeys() {
        let mut record = Record::default();
        let hostile = "a\r\nb\u{1b}[31mc\u{0}\u{7f}\u{85}\u{2028}\u{61c}\u{202e}\u{feff}\"}";
        record.request(Some(hostile), "GET", &"é".repeat(10_000));
        let line = record.line("hash", 200, Now::default(), Now::default());
        assert!(
            line.chars().all(|c| !c.is_control() && !"\u{2028}\u{61c}\u{202e}\u{feff}".contains(c))
        );
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["request_id"], hostile);
        assert_eq!(read["path"], "é".repeat(LONGEST_TEXT));
    }

    #[test]
    fn l02_the_query_is_not_recorded() {
        let mut record = Record::default();
        record.request(None, "GET", "/mcp?access_token=secret");
        let line = record.line("hash", 400, Now::default(), Now::default());
        assert!(line.contains("\"path\":\"/mcp\"") && !line.contains("secret"), "{line}");
    }
}
