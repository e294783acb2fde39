//! Calls as people name them, judged as the filter judges them.

use std::fmt;
use std::str::FromStr;

use mcp_deputy::answer::Refusal;
use mcp_deputy::config::Problems;
use mcp_deputy::json::{self, Limits};
use mcp_deputy::mcp::{self, Body, Class, Id, Method, Operation, Revision};
use mcp_deputy::policy::Permit;
use mcp_deputy::token::Caller;
use serde_json::{Map, Value, json};

use crate::judge::Judge;
use crate::moment::Moment;
use crate::report::visible;

/// Arguments on the command line: a JSON object.
#[derive(Clone)]
pub struct Arguments(pub Map<String, Value>);

impl FromStr for Arguments {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        json::check(text.as_bytes(), &Limits::default()).map_err(|error| error.to_string())?;
        let read = serde_json::from_str(text);
        read.map(Self).map_err(|error| format!("not a JSON object: {error}"))
    }
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct Call {
    /// What it acts on, or a method that acts on nothing.
    pub what: What,
    /// The arguments of a tool or prompt.
    pub arguments: Map<String, Value>,
}

/// What a call acts on.
#[derive(Debug, Clone)]
pub enum What {
    /// The tool of this name, called.
    Tool(String),
    /// The prompt of this name, got.
    Prompt(String),
    /// The resource with this URI, read.
    Resource(String),
    /// A method without an object.
    Method(Method),
}

impl What {
    /// A method without an object; what is wrong with the name goes to `problems`.
    pub fn method(name: &str, path: &str, problems: &mut Problems) -> Option<Self> {
        let has_none = |method: &Method| method.class() == Class::Baseline;
        match Method::from_name(name) {
            Some(method) if has_none(&method) => return Some(Self::Method(method)),
            Some(_) => {
                let help = "name the tool, prompt or resource in place of the method";
                problems.add_with_help(path, format!("`{name}` acts on an object"), help);
            }
            None => {
                let known = Method::ALL.iter().copied().filter(has_none).map(Method::as_str);
                problems.add_unknown(path, format!("unknown method `{name}`"), name, known);
            }
        }
        None
    }
}

impl What {
    /// What kind of thing it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tool(_) => "tool",
            Self::Prompt(_) => "prompt",
            Self::Resource(_) => "resource",
            Self::Method(_) => "method",
        }
    }

    /// Its name or URI.
    pub fn name(&self) -> &str {
        match self {
            Self::Tool(name) | Self::Prompt(name) | Self::Resource(name) => name,
            Self::Method(method) => method.as_str(),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.what.kind(), visible(self.what.name()))?;
        if self.arguments.is_empty() {
            return Ok(());
        }
        write!(out, " {}", json!(self.arguments))
    }
}

/// What became of a call.
pub struct Judgement {
    /// What the filter read from its body; none if that was refused.
    pub operation: Option<Operation>,
    /// The id of the request.
    pub id: Option<Id>,
    /// Whether it may go upstream.
    pub result: Result<Permit, Refusal>,
}

impl Call {
    /// Judges it as the filter does, from the bytes of its body on.
    pub fn judge(&self, judge: &Judge, caller: &Caller, at: Moment) -> Judgement {
        let policy = judge.policy();
        let (body, revision) = self.body(judge.revisions());
        let wanted = |operation: &Operation| policy.reads_arguments(operation);
        match mcp::read(&body, revision, wanted) {
            Ok(Body::One(operation)) => {
                let result = policy.decide(caller, &operation, at.now()).map_err(Refusal::Denied);
                Judgement { id: operation.id.clone(), operation: Some(operation), result }
            }
            Ok(Body::Batch(_)) => {
                Judgement { operation: None, id: None, result: Err(Refusal::Failed) }
            }
            Err(error) => {
                let (id, result) = (error.id().cloned(), Err(Refusal::of_body(error)));
                Judgement { operation: None, id, result }
            }
        }
    }

    /// What a client sends, in the first of these revisions that has the method.
    fn body(&self, revisions: &[Revision]) -> (Vec<u8>, Revision) {
        let named = |name: &str| vec![("name", json!(name)), ("arguments", json!(self.arguments))];
        let (method, params) = match &self.what {
            What::Tool(name) => (Method::ToolsCall, named(name)),
            What::Prompt(name) => (Method::PromptsGet, named(name)),
            What::Resource(uri) => (Method::ResourcesRead, vec![("uri", json!(uri))]),
            What::Method(method) => (*method, Vec::new()),
        };
        let has_it = revisions.iter().find(|revision| method.is_in(**revision));
        let revision = has_it.or(revisions.last()).copied().unwrap_or_default();
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": revision.as_str(),
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let meta = revision.is_stateless().then_some(("_meta", meta));
        let id = (!method.is_notification()).then(|| ("id", json!(1)));
        let object = |members: Vec<(&str, Value)>, last: Option<(&str, Value)>| {
            let members = members.into_iter().chain(last);
            members.map(|(name, value)| (name.to_owned(), value)).collect::<Value>()
        };
        let message = vec![
            ("jsonrpc", json!("2.0")),
            ("method", json!(method.as_str())),
            ("params", object(params, meta)),
        ];
        (object(message, id).to_string().into_bytes(), revision)
    }
}
