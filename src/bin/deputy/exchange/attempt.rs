//! One exchange, as the filter makes it.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use mcp_deputy::clock::Now;
use mcp_deputy::config::pushed::Limits;
use mcp_deputy::exchange::reply::{CalloutReply, Checking, ExchangeError};
use mcp_deputy::exchange::{Answer, Callout, Exchanges, Purpose, Settings, Target};
use mcp_deputy::token::{Caller, PureRust};
use serde_json::{Value, json};

use super::reply::Reply;
use super::request::{OWN_TOKEN, Request};
use super::server::Server;
use super::signer::NativeSigner;
use crate::report::{BAD, Failure, GOOD};

/// What is needed to make one.
pub struct Attempt<'a> {
    pub settings: &'a Settings,
    pub caller: Rc<Caller>,
    pub target: Rc<Target>,
    pub server: Server,
    pub is_injected: bool,
}

/// What came of it.
pub struct Report {
    caller: Rc<Caller>,
    target: Rc<Target>,
    requests: Vec<Request>,
    outcome: Outcome,
}

enum Outcome {
    /// Nothing was sent.
    Shown,
    /// There is nothing to ask: the caller's token already is what an exchange would give.
    Forwarded,
    /// There is nothing to ask with, or nobody answered as they should.
    Refused(ExchangeError),
    /// There was a reply to the exchange itself.
    Checked(Reply),
}

/// The stream that asks.
const STREAM: u32 = 1;

/// By this machine's clock.
pub fn clock() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { unix, monotonic: unix }
}

impl Attempt<'_> {
    /// Makes it, or without `send` only says what would be asked.
    ///
    /// # Errors
    /// It is not known where to send it.
    pub fn make(self, send: bool) -> Result<Report, Failure> {
        let mut requests = Vec::new();
        let outcome = self.ask(send, &mut requests)?;
        Ok(Report { caller: self.caller, target: self.target, requests, outcome })
    }

    fn ask(&self, send: bool, requests: &mut Vec<Request>) -> Result<Outcome, Failure> {
        let bounds = Limits::default().delegations();
        let mut exchanges = Exchanges::new(bounds, Rc::new(PureRust), Rc::new(NativeSigner));
        let asked = exchanges.ask(self.settings, &self.caller, &self.target, STREAM, clock());
        let mut next = match asked {
            Answer::Call(_, callout) => Some(callout),
            // First this gateway's own token.
            Answer::Wait(_) => exchanges.due(self.settings, clock()).calls.pop(),
            Answer::Refused(error) => return Ok(Outcome::Refused(error)),
            Answer::Ready(..) => return Ok(Outcome::Forwarded),
        };
        while let Some(callout) = next.take() {
            requests.push(Request::new(&callout, &self.server, self.is_injected));
            let asked_at = clock();
            match &callout.purpose {
                Purpose::Delegation(..) if send => return self.send(&callout, asked_at),
                Purpose::Delegation(..) => {}
                purpose @ Purpose::OwnToken(_) => {
                    let reply = if send { self.server.post(&callout)?.0 } else { Ok(own_token()) };
                    let settled = exchanges.settle(self.settings, purpose, reply, clock());
                    if let Some(Err(error)) = settled.map(|settled| settled.result) {
                        return Ok(Outcome::Refused(error));
                    }
                    next = exchanges.due(self.settings, clock()).calls.pop();
                }
            }
        }
        Ok(Outcome::Shown)
    }

    fn send(&self, callout: &Callout, asked_at: Now) -> Result<Outcome, Failure> {
        let Some((_, profile)) = self.settings.profile(&self.target) else {
            return Ok(Outcome::Refused(ExchangeError::Unreachable));
        };
        let (heard, trouble) = self.server.post(callout)?;
        let mut begun = Vec::new();
        let result = heard.clone().and_then(|reply| {
            let checking = Checking {
                profile,
                caller: &self.caller,
                target: &self.target,
                verifier: &PureRust,
                sent: asked_at,
                now: clock(),
                begin: &mut |check| begun.push(check),
            };
            checking.check(&reply)
        });
        let mut reply = Reply::new(profile, &self.caller, &self.target, heard.ok(), &begun, result);
        reply.trouble = trouble;
        Ok(Outcome::Checked(reply))
    }
}

/// What stands for this gateway's own token where nobody is asked for it.
fn own_token() -> CalloutReply {
    let body = json!({"access_token": OWN_TOKEN, "token_type": "Bearer", "expires_in": 60});
    CalloutReply { status: Some(200), from_server: true, body: body.to_string().into_bytes() }
}

impl Report {
    /// Whether nothing stands against it.
    pub fn is_good(&self) -> bool {
        match &self.outcome {
            Outcome::Shown => !self.requests.is_empty(),
            Outcome::Forwarded => true,
            Outcome::Refused(_) => false,
            Outcome::Checked(reply) => reply.result.is_ok(),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let Target { scope, audience, max_lifetime, .. } = &*self.target;
        let subject = &self.caller.claims.subject;
        let mut text = format!("{subject}: {scope} at {audience}, for {max_lifetime} s at most\n");
        for request in &self.requests {
            text.push('\n');
            text.push_str(&request.text());
        }
        text.push('\n');
        let outcome = match &self.outcome {
            Outcome::Shown if self.requests.is_empty() => {
                format!("{BAD}not sent{BAD:#}: a token that it needs is not there\n")
            }
            Outcome::Shown => "not sent: `--send` does it\n".to_owned(),
            Outcome::Forwarded => {
                format!("{GOOD}nothing to ask{GOOD:#}: the caller's token goes up as it is\n")
            }
            Outcome::Refused(error) => {
                let detail = error.detail().map(|detail| format!(": {detail}"));
                format!("{BAD}refused{BAD:#}: {}{}\n", error.reason(), detail.unwrap_or_default())
            }
            Outcome::Checked(reply) => reply.text(),
        };
        text + &outcome
    }

    /// For programs.
    pub fn json(&self, warnings: &[String]) -> Value {
        let error = match &self.outcome {
            Outcome::Refused(error) => Some(error),
            Outcome::Checked(reply) => reply.result.as_ref().err(),
            Outcome::Shown | Outcome::Forwarded => None,
        };
        let outcome = match &self.outcome {
            Outcome::Shown => "not_sent",
            Outcome::Forwarded => "forwarded",
            Outcome::Checked(reply) if reply.result.is_ok() => "delegated",
            Outcome::Refused(_) | Outcome::Checked(_) => "refused",
        };
        let mut report = json!({
            "outcome": outcome,
            "reason": error.map(ExchangeError::reason),
            "detail": error.and_then(ExchangeError::detail),
            "subject": self.caller.claims.subject,
            "scope": self.target.scope,
            "audience": self.target.audience,
            "max_lifetime_s": self.target.max_lifetime,
            "requests": self.requests.iter().map(Request::json).collect::<Vec<_>>(),
            "warnings": warnings,
        });
        if let (Outcome::Checked(reply), Some(members)) = (&self.outcome, report.as_object_mut()) {
            members.insert("reply".to_owned(), reply.json());
        }
        report
    }
}
