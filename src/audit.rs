//! One record per transaction: who, through which client, did what, under which rule and token.
//!
//! No token and no secret is in it: tokens appear by `jti`, or a prefix of their SHA-256.

use std::fmt::{self, Display, Formatter, Write};
use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};

use crate::answer::Refusal;
use crate::clock::Now;
use crate::exchange::{Delegated, Source, Target};
use crate::fingerprint::fingerprint;
use crate::mcp::{Object, Operation, Origin, Response, Task};
use crate::policy::{Denial, Permit};
use crate::token::Caller;

/// What became of a transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

impl Decision {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Refuse => "refuse",
            Self::Serve => "serve",
        }
    }
}

/// Why the answer to a request that was allowed ends before the MCP server ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    /// The caller's token expires while a stream of events goes on.
    TokenExpired,
}

impl CutOff {
    /// One word for the audit record.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TokenExpired => "token_expired",
        }
    }
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

/// What a message asks for.
#[derive(Debug, Default)]
struct Asked {
    method: Option<&'static str>,
    tool: Option<Box<str>>,
    prompt: Option<Box<str>>,
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

    fn write(&self, line: &mut Line) {
        line.some("method", self.method);
        line.some("tool", self.tool.as_deref());
        line.some("prompt", self.prompt.as_deref());
        line.some("resource", self.resource.as_deref());
    }
}

/// The denial that a rule in shadow would have made, were it enforced.
#[derive(Debug)]
struct WouldDeny {
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

    /// What it went up for and under, if it did under a delegation.
    #[must_use]
    pub fn delegation(&self) -> Option<(&Rc<Target>, &Rc<Delegated>)> {
        self.delegation.as_ref().map(|(target, delegated, _)| (target, delegated))
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

    /// It was allowed, and its answer is cut off.
    pub fn cut_off(&mut self, cause: CutOff) {
        self.reason = Some(cause.reason());
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
        let millis = i64::try_from(started.unix.as_millis()).unwrap_or_default();
        let time = DateTime::from_timestamp_millis(millis).unwrap_or_default();
        let mut line = Line(String::with_capacity(USUAL_LINE));
        line.object(|line| {
            line.text("time", &time.to_rfc3339_opts(SecondsFormat::Millis, true));
            self.write(policy_hash, line);
            line.value("status", status);
            let took = now.monotonic.saturating_sub(started.monotonic);
            line.value("duration_ms", Milliseconds(took));
        });
        line.0
    }

    /// All but the times and what the client got.
    fn write(&self, policy_hash: &str, line: &mut Line) {
        line.some("request_id", self.request_id.as_deref());
        line.text("http_method", &self.http_method);
        line.text("path", &self.path);
        if let Some(caller) = &self.caller {
            let claims = &caller.claims;
            line.text("issuer", text(&claims.issuer));
            line.text("subject", text(&claims.subject));
            line.some("client", claims.client.as_deref().map(text));
            // Who acted before this gateway, by the inbound token, outermost first.
            if !claims.actors.is_empty() {
                line.texts("prior_actors", &claims.actors);
            }
            match &claims.id {
                Some(id) => line.text("token_id", text(id)),
                None => line.text("token_id", &caller.token.fingerprint()),
            }
        } else {
            line.some("token_id", self.rejected.as_deref());
        }
        self.asked.write(line);
        if !self.batch.is_empty() {
            line.list("batch", &self.batch, |line, asked| line.object(|line| asked.write(line)));
        }
        line.some("answers", self.answers);
        line.text("decision", self.decision.as_str());
        line.some("reason", self.reason);
        line.some("detail", self.detail);
        line.some("rule", self.rule.as_deref());
        if let Some(WouldDeny { rule, reason, message }) = &self.would_deny {
            line.name("would_deny");
            line.object(|line| {
                line.some("rule", rule.as_deref());
                line.text("reason", reason);
                line.text("message", message);
            });
        }
        line.text("policy_hash", policy_hash);
        if let Some((target, delegated, source)) = &self.delegation {
            line.name("delegation");
            line.object(|line| {
                line.text("token_id", text(&delegated.id));
                line.text("scope", &target.scope);
                line.text("audience", &target.audience);
                line.value("lifetime_s", delegated.lifetime);
                line.texts("actors", &delegated.actors);
                line.text("source", source.as_str());
                // Not by which arguments, which may be nobody's to read here.
                if target.authorization_details.is_some() {
                    line.value("bound_to_call", true);
                }
            });
        }
        if let Some(status) = self.upstream_status {
            line.value("upstream_status", status);
        }
        if self.redacted > 0 {
            line.value("redacted", self.redacted);
        }
    }
}

/// A duration, to the microsecond.
struct Milliseconds(Duration);

impl Display for Milliseconds {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let micros = self.0.subsec_micros();
        let whole = self.0.as_secs().saturating_mul(1_000).saturating_add((micros / 1_000).into());
        write!(out, "{whole}.{:03}", micros % 1_000)
    }
}

/// One line of JSON, member by member. To have it written by `serde_json` would take a fifth of all that
/// the filter itself does for a call.
struct Line(String);

impl Line {
    fn object(&mut self, write: impl FnOnce(&mut Self)) {
        self.0.push('{');
        write(self);
        self.0.push('}');
    }

    /// What comes between a value and the next.
    fn separate(&mut self) {
        if !matches!(self.0.as_bytes().last(), Some(b'{' | b'[')) {
            self.0.push(',');
        }
    }

    fn name(&mut self, name: &'static str) {
        self.separate();
        self.0.extend(["\"", name, "\":"]);
    }

    fn value(&mut self, name: &'static str, value: impl Display) {
        self.name(name);
        let _ = write!(self.0, "{value}");
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.name(name);
        self.string(value);
    }

    fn some(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn texts(&mut self, name: &'static str, values: &[Box<str>]) {
        self.list(name, values, |line, value| line.string(text(value)));
    }

    fn list<T>(&mut self, name: &'static str, values: &[T], write: impl Fn(&mut Self, &T)) {
        self.name(name);
        self.0.push('[');
        for value in values {
            self.separate();
            write(self, value);
        }
        self.0.push(']');
    }

    fn string(&mut self, value: &str) {
        // All bytes are looked at, 16 in one step.
        let is_other = |byte: u8| {
            let bytes = [byte < b' ', byte > b'~', byte == b'"', byte == b'\\'];
            bytes.into_iter().fold(0, |any, one| any | u8::from(one))
        };
        if value.bytes().fold(0, |any, byte| any | is_other(byte)) == 0 {
            self.0.extend(["\"", value, "\""]);
        } else {
            self.0.push_str(&escape(serde_json::to_string(value).unwrap_or_default()));
        }
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
