//! A JSON-RPC body, judged: exactly one request or notification, where the revision has batches
//! several, or refused.

use std::collections::HashSet;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::draft::{BATCH_MESSAGES, Draft, Drafts, Member, Place};
use super::error::BodyError;
use super::method::Method;
use super::response::Response;
use super::revision::{Offer, Revision};
use super::task::Task;
use crate::json::{JsonError, Limits, Token, walk};

/// The greatest integer that every parser reads exactly (RFC 7493 section 2.2).
const SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// The longest request id, in bytes.
const ID_BYTES: usize = 256;

/// The longest tool or prompt name, in bytes.
const NAME_BYTES: usize = 128;

const VERSION_MEMBER: &str = "params._meta.io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_MEMBER: &str = "params._meta.io.modelcontextprotocol/clientCapabilities";
const RELATED_TASK_MEMBER: &str = "params._meta.io.modelcontextprotocol/related-task";

/// What a body holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "batches are rare")]
pub enum Body {
    /// One message.
    One(Operation),
    /// The messages of a JSON-RPC batch, 1 to 50, no two with the same id.
    Batch(Vec<Operation>),
}

impl Body {
    /// The one message, if it is no batch.
    #[must_use]
    pub fn one(&self) -> Option<&Operation> {
        match self {
            Self::One(operation) => Some(operation),
            Self::Batch(_) => None,
        }
    }
}

/// What a message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The request's id; none for a notification.
    pub id: Option<Id>,
    /// The method.
    pub method: Method,
    /// What the method acts on: there exactly if [`Method::class`] is not `Baseline`.
    pub object: Option<Object>,
    /// `params.arguments`, if whoever [`read`] the body wanted them: few rules need them.
    pub arguments: Map<String, Value>,
    /// The task that the message says it belongs to: a server may deliver the answer there.
    pub related_task: Option<Task>,
    /// Whether the client takes a task in place of the tool's result.
    pub takes_task: bool,
    /// The request that it cancels.
    pub cancels: Option<Id>,
    /// The revision that `initialize` offers.
    pub offers: Option<Offer>,
}

impl Operation {
    /// An operation that has to do with no task, and whose arguments nobody has read.
    #[must_use]
    pub fn new(id: Option<Id>, method: Method, object: Option<Object>) -> Self {
        Self {
            id,
            method,
            object,
            arguments: Map::new(),
            related_task: None,
            takes_task: false,
            cancels: None,
            offers: None,
        }
    }

    /// Every task that the message names, its object first.
    pub fn tasks_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        let named = match &mut self.object {
            Some(Object::Task(task)) => std::slice::from_mut(task),
            Some(Object::Subscription { tasks, .. }) => tasks,
            _ => &mut [],
        };
        named.iter_mut().chain(&mut self.related_task)
    }
}

/// The name of the stream that GET opens, among the ids of requests, in the official Python SDK.
const GET_STREAM: &str = "_GET_stream";

/// How an id begins that goes up in place of a client's ([`crate::response::mark_ids`]).
pub const MARKED: &str = "mcp-deputy-";

/// A request's id. Serialises to the JSON value that it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// Within ±(2^53 - 1).
    Number(i64),
    /// At most 256 bytes, without control characters.
    String(Box<str>),
}

impl Id {
    pub(super) fn from_token(token: Token<'_>) -> Option<Self> {
        match token {
            Token::Integer(number) if (-SAFE_INTEGER..=SAFE_INTEGER).contains(&number) => {
                Some(Self::Number(number))
            }
            Token::String(text)
                if text.len() <= ID_BYTES
                    && !text.chars().any(char::is_control)
                    && text != GET_STREAM
                    && !text.starts_with(MARKED) =>
            {
                Some(Self::String(text.into()))
            }
            _ => None,
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::String(text) => serializer.serialize_str(text),
        }
    }
}

/// What an operation acts on. Names are `[A-Za-z0-9_.-]{1,128}`; URIs are ASCII without control
/// characters and at most 2 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    /// The tool of this name.
    Tool(Box<str>),
    /// The prompt of this name; also when one of its arguments is to be completed.
    Prompt(Box<str>),
    /// The resource with this URI.
    Resource(Box<str>),
    /// The resource template with this URI template, one of whose arguments is to be completed.
    ResourceTemplate(Box<str>),
    /// The task with this id.
    Task(Task),
    /// The resources and tasks whose changes the client wants to hear of; both may be empty.
    Subscription {
        /// The URIs of the resources.
        resources: Box<[Box<str>]>,
        /// The tasks.
        tasks: Box<[Task]>,
    },
}

/// Reads a body by the rules of a revision: whole, or refused. Arguments are read where the method has
/// any and `wanted` says so.
///
/// What it accepts, every server reads as the same methods and objects, so the bytes that were
/// checked can go upstream as they are. Bounding the body's bytes is the caller's task.
///
/// # Errors
/// A [`BodyError`] if the body is not JSON that every parser reads alike, not exactly one request
/// or notification, not of this revision, or without what its method needs; and the same of any
/// message of a batch.
pub fn read(
    body: &[u8],
    revision: Revision,
    wanted: impl Fn(&Operation) -> bool,
) -> Result<Body, BodyError> {
    let mut read = parse(body, revision)?;
    read_arguments(body, &mut read, wanted)?;
    Ok(read)
}

/// The same in one pass, without arguments.
pub(super) fn parse(body: &[u8], revision: Revision) -> Result<Body, BodyError> {
    // No message at all, rather than a message with an error in its JSON.
    if body.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
        return Err(BodyError::NotAnObject);
    }
    let drafts = walk(body, &Limits::default(), Drafts::of(body), Place::Body)?;
    if drafts.is_batch {
        return batch(drafts.messages, revision).map(Body::Batch);
    }
    let draft = drafts.messages.into_iter().next().ok_or(BodyError::NotAnObject)?;
    judge(draft, revision).map(Body::One)
}

/// The id of the request in a body that is refused before it is judged.
#[must_use]
pub fn read_id(body: &[u8]) -> Option<Id> {
    let drafts = walk(body, &Limits::default(), Drafts::of(body), Place::Body).ok()?;
    let message = drafts.messages.into_iter().next().filter(|_| !drafts.is_batch)?;
    message.id.present()
}

/// Reads the arguments of the messages in `body`, of which `parse` made `parsed`, where the method
/// has any and `wanted` says so. It fails if the text is not what it was when it was parsed.
fn read_arguments(
    body: &[u8],
    parsed: &mut Body,
    wanted: impl Fn(&Operation) -> bool,
) -> Result<(), JsonError> {
    #[derive(Deserialize)]
    struct Message {
        params: Option<Params>,
    }
    #[derive(Deserialize)]
    struct Params {
        arguments: Option<Map<String, Value>>,
    }
    // Elsewhere no server reads them, so they must satisfy no rule.
    let wanted = |operation: &Operation| operation.method.has_arguments() && wanted(operation);
    let is_batch = matches!(parsed, Body::Batch(_));
    let operations = match parsed {
        Body::One(operation) => std::slice::from_mut(operation),
        Body::Batch(operations) => operations,
    };
    if !operations.iter().any(&wanted) {
        return Ok(());
    }
    let messages = if is_batch {
        serde_json::from_slice(body)
    } else {
        serde_json::from_slice(body).map(|message| vec![message])
    };
    let messages: Vec<Message> = messages.map_err(|_| JsonError::Syntax)?;
    if messages.len() != operations.len() {
        return Err(JsonError::Syntax);
    }
    for (operation, message) in operations.iter_mut().zip(messages) {
        if wanted(operation) {
            let arguments = message.params.and_then(|params| params.arguments);
            operation.arguments = arguments.unwrap_or_default();
        }
    }
    Ok(())
}

/// Judges the messages of a batch (MCP 2025-03-26, base protocol, batching).
fn batch(drafts: Vec<Draft>, revision: Revision) -> Result<Vec<Operation>, BodyError> {
    if !revision.has_batches() {
        return Err(BodyError::Batch("this revision of MCP has no batches"));
    }
    if !(1..=BATCH_MESSAGES).contains(&drafts.len()) {
        return Err(BodyError::Batch("a batch has 1 to 50 messages"));
    }
    let judged = drafts.into_iter().map(|draft| judge(draft, revision));
    let operations: Vec<_> = judged.collect::<Result<_, _>>().map_err(BodyError::in_batch)?;
    if operations.iter().any(|operation| operation.method == Method::Initialize) {
        return Err(BodyError::Batch("a batch cannot contain `initialize`"));
    }
    // Which of its answers would make the task, or belong to it, is not told apart.
    if operations.iter().any(|one| one.takes_task || one.related_task.is_some()) {
        return Err(BodyError::Batch("a batch cannot ask for tasks or name them"));
    }
    let mut ids = HashSet::new();
    if !operations.iter().filter_map(|operation| operation.id.as_ref()).all(|id| ids.insert(id)) {
        return Err(BodyError::Batch("two requests of the batch have the same id"));
    }
    Ok(operations)
}

/// Judges the members against each other, now that the whole body is known to be sound.
fn judge(mut draft: Draft, revision: Revision) -> Result<Operation, BodyError> {
    if !draft.is_object {
        return Err(BodyError::NotAnObject);
    }
    let is_response = draft.method.is_absent()
        && !draft.id.is_absent()
        && draft.result.is_absent() != draft.error.is_absent();
    let response = is_response.then(|| Response::of(&draft));
    let id_is_wrong = draft.id.is_wrong();
    let id = std::mem::take(&mut draft.id).present();
    let method = std::mem::take(&mut draft.method);
    let invalid = |member| Err(BodyError::InvalidRequest { id: id.clone(), member });

    if draft.jsonrpc != Member::Present(()) {
        return invalid("jsonrpc");
    }
    if let Some(response) = response {
        // The task that is claimed must be the one that every server reads.
        let invalid = |member| Err(BodyError::InvalidRequest { id: None, member });
        if !draft.params.is_absent() {
            return invalid("params");
        }
        if draft.has_wrong_related_task() {
            return invalid("result._meta");
        }
        let related_task = draft.related_task_id.present();
        return Err(BodyError::Response { response, related_task });
    }
    // A message that is a request to one server and a response to another is refused.
    if !draft.result.is_absent() {
        return invalid("result");
    }
    if !draft.error.is_absent() {
        return invalid("error");
    }
    if id_is_wrong {
        return invalid("id");
    }
    let Some(method) = method.present() else {
        return invalid("method");
    };
    let version = std::mem::take(&mut draft.protocol_version);
    let is_other = |version: &str| version != revision.as_str();
    if matches!(&version, Member::Present(version) if is_other(version)) {
        return Err(BodyError::OtherRevision { id });
    }
    let Some(method) = method.filter(|method| method.is_in(revision)) else {
        return Err(BodyError::UnknownMethod { id });
    };
    match (method.is_notification(), &id) {
        // As a request the method does not exist.
        (true, Some(_)) => return Err(BodyError::UnknownMethod { id }),
        (false, None) => return invalid("id"),
        (true, None) | (false, Some(_)) => {}
    }
    if version.is_wrong() {
        return Err(BodyError::InvalidParams { id, member: VERSION_MEMBER });
    }
    if let Some(member) = wrong_params(&draft) {
        return Err(BodyError::InvalidParams { id, member });
    }
    if revision.is_stateless() && id.is_some() {
        // MCP 2026-07-28, base protocol: what each request says of itself.
        let missing = [
            (version.is_absent(), VERSION_MEMBER),
            (draft.client_capabilities.is_absent(), CAPABILITIES_MEMBER),
        ];
        if let Some((_, member)) = missing.into_iter().find(|(is_missing, _)| *is_missing) {
            return Err(BodyError::InvalidParams { id, member });
        }
    }
    let related_task = std::mem::take(&mut draft.related_task_id).present();
    let offers = std::mem::take(&mut draft.offer).present();
    let offers = offers.filter(|_| method == Method::Initialize);
    let cancels = std::mem::take(&mut draft.request_id).present();
    let cancels = cancels.filter(|_| method == Method::Cancelled);
    let takes_task = method == Method::ToolsCall && (draft.asks_for_task || draft.knows_tasks);
    match object(method, draft) {
        Ok(object) => {
            let operation = Operation::new(id, method, object);
            Ok(Operation { related_task, takes_task, cancels, offers, ..operation })
        }
        Err(Fault::Member(member)) => Err(BodyError::InvalidParams { id, member }),
        Err(Fault::Name) => Err(BodyError::InvalidName { id }),
    }
}

/// The member that is wrong whatever the method.
fn wrong_params(draft: &Draft) -> Option<&'static str> {
    if draft.has_wrong_related_task() {
        return Some(RELATED_TASK_MEMBER);
    }
    [
        (&draft.params, "params"),
        (&draft.arguments, "params.arguments"),
        (&draft.cursor, "params.cursor"),
        (&draft.meta, "params._meta"),
        (&draft.client_capabilities, CAPABILITIES_MEMBER),
    ]
    .into_iter()
    .find_map(|(member, name)| member.is_wrong().then_some(name))
}

/// What is wrong with the object that a method needs.
enum Fault {
    Member(&'static str),
    Name,
}

fn object(method: Method, draft: Draft) -> Result<Option<Object>, Fault> {
    Ok(Some(match method {
        Method::ToolsCall => Object::Tool(name(draft.name, "params.name")?),
        Method::PromptsGet => Object::Prompt(name(draft.name, "params.name")?),
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
            Object::Resource(uri(draft.uri, "params.uri")?)
        }
        Method::CompletionComplete => reference(draft)?,
        Method::SubscriptionsListen => subscription(draft)?,
        Method::TasksGet | Method::TasksResult | Method::TasksUpdate | Method::TasksCancel => {
            Object::Task(draft.task_id.present().ok_or(Fault::Member("params.taskId"))?)
        }
        _ => return Ok(None),
    }))
}

/// `params.ref`: a prompt's name or a resource template's URI, never both.
fn reference(draft: Draft) -> Result<Object, Fault> {
    let kind = draft.reference_type.present().ok_or(Fault::Member("params.ref.type"))?;
    match &*kind {
        "ref/prompt" if draft.reference_uri.is_absent() => {
            Ok(Object::Prompt(name(draft.reference_name, "params.ref.name")?))
        }
        "ref/resource" if draft.reference_name.is_absent() => {
            Ok(Object::ResourceTemplate(uri(draft.reference_uri, "params.ref.uri")?))
        }
        _ => Err(Fault::Member("params.ref")),
    }
}

/// `params.notifications`: what a `subscriptions/listen` stream is to report.
fn subscription(draft: Draft) -> Result<Object, Fault> {
    const RESOURCES: &str = "params.notifications.resourceSubscriptions";
    const TASKS: &str = "params.notifications.taskIds";
    if draft.notifications != Member::Present(()) {
        return Err(Fault::Member("params.notifications"));
    }
    if draft.resource_subscriptions.is_wrong() {
        return Err(Fault::Member(RESOURCES));
    }
    if draft.task_ids.is_wrong() {
        return Err(Fault::Member(TASKS));
    }
    let uris = draft.subscribed_uris.into_iter().map(|member| uri(member, RESOURCES));
    let tasks = draft.subscribed_tasks.into_iter();
    let tasks = tasks.map(|member| member.present().ok_or(Fault::Member(TASKS)));
    Ok(Object::Subscription {
        resources: uris.collect::<Result<_, _>>()?,
        tasks: tasks.collect::<Result<_, _>>()?,
    })
}

fn name(member: Member<Box<str>>, place: &'static str) -> Result<Box<str>, Fault> {
    let name = member.present().ok_or(Fault::Member(place))?;
    if is_name(&name) { Ok(name) } else { Err(Fault::Name) }
}

/// Whether `text` may name a tool or a prompt (MCP 2025-11-25, tools): compared byte for byte, so
/// nothing that could look like another name.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_name_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(is_name_byte)
}

fn uri(member: Member<Box<str>>, place: &'static str) -> Result<Box<str>, Fault> {
    let uri = member.present().filter(|uri| !uri.is_empty() && uri.is_ascii());
    uri.ok_or(Fault::Member(place))
}
