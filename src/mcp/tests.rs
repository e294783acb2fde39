//! What the reader refuses and accepts. The ids in names and messages (J01, R03, ...) are rows of
//! the list of known attacks.

mod corpus;
mod json;
mod jsonrpc;
mod revision;

use super::message::parse;
use super::*;
use crate::json::JsonError;

/// Reads a body by the rules of 2025-11-25, which has the most methods.
fn read(body: impl AsRef<[u8]>) -> Result<Operation, BodyError> {
    read_in(Revision::November2025, body)
}

fn read_in(revision: Revision, body: impl AsRef<[u8]>) -> Result<Operation, BodyError> {
    match parse(body.as_ref(), revision)? {
        Body::One(operation) => Ok(operation),
        Body::Batch(operations) => panic!("a batch: {operations:?}"),
    }
}

/// A request in the oldest revision that has the method, with the `_meta` that it needs there.
fn request_in(method: Method, params: &str) -> (Revision, String) {
    let named = Revision::ALL.into_iter().find(|revision| method.is_in(*revision));
    let revision = named.unwrap();
    let params = match params.strip_prefix('{') {
        Some("}") if revision.is_stateless() => format!("{{{META}}}"),
        Some(rest) if revision.is_stateless() => format!("{{{META},{rest}"),
        _ => params.to_owned(),
    };
    let name = method.as_str();
    (revision, request(&format!(r#""method":"{name}","params":{params}"#)))
}

/// What each request of 2026-07-28 says of itself.
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
    "io.modelcontextprotocol/clientCapabilities":{}}"#;

/// A request with these members beside `jsonrpc` and `id`.
fn request(members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#)
}

/// A `tools/call` with these params.
fn call(params: &str) -> String {
    request(&format!(r#""method":"tools/call","params":{params}"#))
}

#[track_caller]
fn refused(row: &str, body: impl AsRef<[u8]>, status: u16, code: i64) -> BodyError {
    refused_in(Revision::November2025, row, body, status, code)
}

#[track_caller]
fn refused_in(
    revision: Revision,
    row: &str,
    body: impl AsRef<[u8]>,
    status: u16,
    code: i64,
) -> BodyError {
    let body = body.as_ref();
    let shown = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into_owned();
    match parse(body, revision) {
        Ok(operation) => panic!("{row}: {shown:?} was read as {operation:?}"),
        Err(error) => {
            let answer = (error.http_status(), error.code());
            assert_eq!(answer, (status, code), "{row}: {shown:?}: {error:?}");
            error
        }
    }
}

#[track_caller]
fn not_json(row: &str, body: impl AsRef<[u8]>, expected: JsonError) {
    assert_eq!(refused(row, body, 400, -32700), BodyError::Json(expected), "{row}");
}

#[track_caller]
fn tool(row: &str, body: impl AsRef<[u8]>) -> String {
    match read(body) {
        Ok(Operation { object: Some(Object::Tool(name)), .. }) => name.into(),
        other => panic!("{row}: {other:?}"),
    }
}

#[test]
fn a_tool_call_is_read() {
    let body = call(
        r#"{"name":"greet","arguments":{"name":"x","nested":[{"id":null}]},"_meta":
            {"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":7,
             "io.modelcontextprotocol/clientCapabilities":{}}}"#,
    );
    assert_eq!(
        read_in(Revision::July2026, body),
        Ok(Operation::new(
            Some(Id::Number(1)),
            Method::ToolsCall,
            Some(Object::Tool("greet".into())),
        ))
    );
}

#[test]
fn a_call_says_whether_it_takes_a_task() {
    let declared = |extensions: &str| {
        format!(
            r#"{{"name":"greet","_meta":{{"io.modelcontextprotocol/protocolVersion":"2025-11-25",
            "io.modelcontextprotocol/clientCapabilities":{{"extensions":{extensions}}}}}}}"#
        )
    };
    for (params, takes_task) in [
        (r#"{"name":"greet"}"#.to_owned(), false),
        (r#"{"name":"greet","task":{"ttl":1}}"#.into(), true),
        (r#"{"name":"greet","arguments":{"task":{}}}"#.into(), false),
        (declared(r#"{"io.modelcontextprotocol/tasks":{}}"#), true),
        (declared(r#"{"io.modelcontextprotocol/ui":{}}"#), false),
        (declared("{}"), false),
    ] {
        assert_eq!(read(call(&params)).unwrap().takes_task, takes_task, "{params}");
    }
}

#[test]
fn s05_the_task_that_a_message_belongs_to_is_read() {
    let meta = |related: &str| {
        format!(
            r#"{{"name":"greet","_meta":{{"io.modelcontextprotocol/related-task":{related}}}}}"#
        )
    };
    let body = call(&meta(r#"{"taskId":"k-1"}"#));
    let task = read(&body).unwrap().related_task.unwrap();
    assert_eq!((&*task.id, &body[task.place.unwrap()]), ("k-1", "k-1"));
    let escaped = read(call(&meta(r#"{"taskId":"\u006b-1"}"#))).unwrap().related_task.unwrap();
    assert_eq!((&*escaped.id, escaped.place), ("k-1", None));
    for related in ["{}", "null", "[]", r#""k-1""#, r#"{"taskId":1}"#, r#"{"taskId":""}"#] {
        refused("S05", call(&meta(related)), 400, -32602);
    }
    for related in [r#"{"taskid":"k"}"#, r#"{"task_id":"k"}"#, r#"{"taskId":"k","TaskId":"k"}"#] {
        not_json("S05", call(&meta(related)), JsonError::NameVariant);
    }
    for params in [meta(r#"{"taskId":"k"}"#), r#"{"name":"greet","task":{}}"#.into()] {
        let batch = format!("[{}]", call(&params));
        refused_in(Revision::March2025, "S05", batch, 400, -32600);
    }
}

#[test]
fn a_notification_is_read() {
    let operation = read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap();
    assert_eq!(operation.id, None);
    assert_eq!(operation.method, Method::Initialized);
    assert_eq!(operation.object, None);
}

#[test]
fn every_method_is_read_with_its_object() {
    let tool = Object::Tool("t".into());
    let prompt = Object::Prompt("p".into());
    let resource = Object::Resource("file:///a".into());
    let template = Object::ResourceTemplate("file:///{a}".into());
    // Where it stands in the body differs.
    let named = || Task { id: "k-1".into(), place: None, origin: None };
    let task = Object::Task(named());
    let listened = Object::Subscription {
        resources: ["file:///a".into(), "file:///b".into()].into(),
        tasks: [named()].into(),
    };
    let all = Object::Subscription { resources: [].into(), tasks: [].into() };
    let complete = Method::CompletionComplete;
    let listen = Method::SubscriptionsListen;
    for (method, params, object) in [
        (Method::ToolsCall, r#"{"name":"t"}"#, &tool),
        (Method::PromptsGet, r#"{"name":"p"}"#, &prompt),
        (Method::ResourcesRead, r#"{"uri":"file:///a"}"#, &resource),
        (Method::ResourcesSubscribe, r#"{"uri":"file:///a"}"#, &resource),
        (Method::ResourcesUnsubscribe, r#"{"uri":"file:///a"}"#, &resource),
        (complete, r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{}}"#, &prompt),
        (complete, r#"{"ref":{"type":"ref/resource","uri":"file:///{a}"}}"#, &template),
        (
            listen,
            r#"{"notifications":{"resourceSubscriptions":["file:///a","file:///b"],
                "taskIds":["k-1"],"toolsListChanged":true}}"#,
            &listened,
        ),
        (listen, r#"{"notifications":{"toolsListChanged":true}}"#, &all),
        (Method::TasksGet, r#"{"taskId":"k-1"}"#, &task),
        (Method::TasksResult, r#"{"taskId":"k-1"}"#, &task),
        (Method::TasksUpdate, r#"{"taskId":"k-1","inputResponses":{}}"#, &task),
        (Method::TasksCancel, r#"{"taskId":"k-1"}"#, &task),
    ] {
        let name = method.as_str();
        let (revision, body) = request_in(method, params);
        let mut operation =
            read_in(revision, body.clone()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        for task in operation.tasks_mut() {
            let place = task.place.take().unwrap();
            assert_eq!(&body[place], "k-1", "{name}");
        }
        assert_eq!(operation.object.as_ref(), Some(object), "{name}");
        // ... and nothing less will do.
        for params in ["{}", r#"{"name":1,"uri":[],"taskId":{}}"#] {
            let (revision, body) = request_in(method, params);
            let error = refused_in(revision, name, body, 400, -32602);
            assert_eq!(error.id(), Some(&Id::Number(1)), "{name}");
        }
        let bare = request(&format!(r#""method":"{name}""#));
        refused_in(revision, name, bare, 400, -32602);
    }
    for &method in Method::ALL.iter().filter(|method| method.class() == Class::Baseline) {
        let name = method.as_str();
        let (revision, mut body) = request_in(method, "{}");
        if method.is_notification() {
            body = body.replace(r#""id":1,"#, "");
        }
        let operation = read_in(revision, body).unwrap();
        assert_eq!((operation.method, operation.object), (method, None), "{name}");
    }
}

#[test]
fn params_that_a_method_cannot_use_are_refused() {
    for (method, params, member) in [
        ("completion/complete", r#"{"ref":"p"}"#, "params.ref.type"),
        ("completion/complete", r#"{"ref":{"type":"ref/tool","name":"p"}}"#, "params.ref"),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"p","uri":"file:///a"}}"#,
            "params.ref",
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","name":"p","uri":"file:///a"}}"#,
            "params.ref",
        ),
        ("subscriptions/listen", r#"{"notifications":[]}"#, "params.notifications"),
        (
            "subscriptions/listen",
            r#"{"notifications":{"resourceSubscriptions":"file:///a"}}"#,
            "params.notifications.resourceSubscriptions",
        ),
        (
            "subscriptions/listen",
            r#"{"notifications":{"resourceSubscriptions":["file:///a",["file:///b"]]}}"#,
            "params.notifications.resourceSubscriptions",
        ),
        (
            "subscriptions/listen",
            r#"{"notifications":{"taskIds":{"0":"k"}}}"#,
            "params.notifications.taskIds",
        ),
        (
            "subscriptions/listen",
            r#"{"notifications":{"taskIds":["k",null]}}"#,
            "params.notifications.taskIds",
        ),
        ("resources/read", r#"{"uri":""}"#, "params.uri"),
        ("resources/read", r#"{"uri":"file:///é"}"#, "params.uri"),
        ("tasks/get", r#"{"taskId":""}"#, "params.taskId"),
        ("tools/list", r#"{"_meta":[]}"#, "params._meta"),
        ("tools/list", r#"{"cursor":1}"#, "params.cursor"),
        (
            "tools/list",
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#,
            "params._meta.io.modelcontextprotocol/protocolVersion",
        ),
    ] {
        let (revision, body) = request_in(Method::from_name(method).unwrap(), params);
        let expected = BodyError::InvalidParams { id: Some(Id::Number(1)), member };
        assert_eq!(read_in(revision, body), Err(expected), "{method} {params}");
    }
    for (method, member) in [("resources/read", "uri"), ("tasks/get", "taskId")] {
        let long = "a".repeat(2049);
        let body = request(&format!(r#""method":"{method}","params":{{"{member}":"{long}"}}"#));
        refused(method, body, 400, -32602);
    }
}

#[test]
fn arguments_are_read_where_they_are_wanted_and_where_servers_read_them() {
    let with_arguments = |method: &str, params: &str| {
        request(&format!(r#""method":"{method}","params":{{{params},"arguments":{{"a":1}}}}"#))
    };
    let completion = r#""ref":{"type":"ref/prompt","name":"a"}"#;
    for (method, params, wanted, expected) in [
        ("tools/call", r#""name":"a""#, true, 1),
        ("tools/call", r#""name":"a""#, false, 0),
        ("prompts/get", r#""name":"a""#, true, 1),
        ("completion/complete", completion, true, 0),
        ("resources/read", r#""uri":"a:b""#, true, 0),
    ] {
        let body = with_arguments(method, params);
        let read = super::read(body.as_bytes(), Revision::November2025, |_| wanted);
        let Ok(Body::One(operation)) = read else { panic!() };
        assert_eq!(operation.arguments.len(), expected, "{method} {wanted}");
    }
}
