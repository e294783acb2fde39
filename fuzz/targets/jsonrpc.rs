//! A body that is accepted names, to any other parser, the same method, object and arguments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_deputy::mcp::{self, Body, Object, Operation, Revision, check_content_type};
use mcp_deputy::response::{Redaction, mark_ids};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| {
    // A line with the revision, and the body.
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return };
    let (revision, body) = (&input[..end], &input[end + 1..]);
    let named = |one: &Revision| one.as_str().as_bytes() == revision;
    let Some(revision) = Revision::ALL.into_iter().find(named) else { return };
    let _ = check_content_type(&[body]);
    let _ = mcp::read_id(body);
    let parsed = mcp::read(body, revision, |_| true);
    let is_accepted = mcp::read(body, revision, |_| false).is_ok();
    assert_eq!(parsed.is_ok(), is_accepted, "with its arguments and without");
    let Ok(parsed) = parsed else { return };
    let read: Value = serde_json::from_slice(body).expect("accepted, so JSON");
    assert_marked(body, &read);
    match &parsed {
        Body::One(operation) => assert_same(operation, &read),
        Body::Batch(operations) => {
            assert!(revision.has_batches());
            let messages = read.as_array().expect("a batch is a list");
            assert_eq!(messages.len(), operations.len());
            operations.iter().zip(messages).for_each(|(one, message)| assert_same(one, message));
        }
    }
});

/// With marks, the ids are others, nothing else is, and an answer brings back those that the client gave.
fn assert_marked(body: &[u8], read: &Value) {
    let marked = mark_ids(body, "0123456789abcdef").expect("accepted, so JSON");
    let mut marked: Value = serde_json::from_slice(&marked).expect("still JSON");
    let messages = match &mut marked {
        Value::Array(messages) => messages.as_mut_slice(),
        message => std::slice::from_mut(message),
    };
    for id in messages.iter_mut().filter_map(|message| message.get_mut("id")) {
        assert!(id.as_str().is_some_and(|id| id.starts_with(mcp::MARKED)), "{id}");
        let answer = json!({"id": id, "result": {}}).to_string();
        let answer = Redaction::of([]).apply(answer.as_bytes()).expect("JSON");
        let answer: Value = serde_json::from_str(&answer.text).expect("still JSON");
        *id = answer["id"].clone();
    }
    assert_eq!(marked, *read);
}

fn assert_same(operation: &Operation, message: &Value) {
    assert_eq!(message["jsonrpc"], "2.0");
    assert_eq!(message["method"], operation.method.as_str());
    let id = operation.id.as_ref().map(|id| serde_json::to_value(id).expect("an id"));
    assert_eq!(message.get("id"), id.as_ref());
    assert!(message.get("result").is_none() && message.get("error").is_none());
    let params = &message["params"];
    match &operation.object {
        Some(Object::Tool(name)) => {
            assert_eq!(params["name"], **name);
            let empty = Value::Object(serde_json::Map::new());
            let arguments = params.get("arguments").unwrap_or(&empty);
            assert_eq!(*arguments, Value::Object(operation.arguments.clone()));
        }
        Some(Object::Prompt(name)) => {
            assert!(params["name"] == **name || params["ref"]["name"] == **name);
        }
        Some(Object::Resource(uri) | Object::ResourceTemplate(uri)) => {
            assert!(params["uri"] == **uri || params["ref"]["uri"] == **uri);
        }
        Some(Object::Task(_) | Object::Subscription { .. }) | None => {}
    }
}
