//! Servers know the requests of a session by their ids alone. So those whose answers are redacted go
//! up under ids of their own, and nobody but the MCP server sees them.

use std::rc::Rc;

use mcp_deputy::transaction::Step;
use serde_json::{Value, json};

use super::stage::*;

const OPENED: [(&str, &str); 2] = [(":status", "200"), ("mcp-session-id", "of-the-server")];
const JSON: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/json")];
const EVENTS: [(&str, &str); 2] = [(":status", "200"), ("content-type", "text/event-stream")];

fn redacting() -> Value {
    let mut configuration = configuration();
    configuration["sessions"] = json!({"keys_from_environment": ["KEY"]});
    let policy = &mut configuration["policies"]["ledger"];
    let delegation = json!({"scope": "ledger:People"});
    policy["baseline"] = json!({ "delegation": delegation });
    for (tool, names) in
        [("profile", json!(["ssn"])), ("person", json!(["SSN"])), ("card", json!(["card"]))]
    {
        policy["tools"][tool] = json!({"redact": names, "delegation": delegation});
    }
    policy["tools"]["plain"] = json!({ "delegation": delegation });
    configuration
}

/// A session of Sarah's at a worker.
struct Session {
    stage: Stage,
    token: String,
    id: String,
}

impl Session {
    fn open(data: Rc<Data>) -> Self {
        Self::open_with(redacting(), data)
    }

    fn open_with(configuration: Value, data: Rc<Data>) -> Self {
        let (mut stage, token) = (Stage::beside(configuration, data), token(json!({})));
        let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize"}).to_string();
        let (mut stream, step) = stage.send(&token, &initialize);
        let _ = stream.go_up(&mut stage, step);
        let edits = stream.response(&mut stage, &OPENED).edits();
        let (_, id) = edits.set.into_iter().find(|(name, _)| *name == "mcp-session-id").unwrap();
        Self { stage, token, id }
    }

    /// A request in the session, and what goes up in place of its body.
    fn send(&mut self, body: &str) -> (Stream, Option<Value>) {
        let headers = [("mcp-session-id", &*self.id)];
        let (mut stream, step) = self.stage.post(&self.token, &headers);
        assert!(step.is_pause());
        let step = stream.body(&mut self.stage, body.as_bytes());
        let edits = stream.go_up(&mut self.stage, step);
        let length = edits.set.iter().find(|(name, _)| *name == "content-length");
        assert_eq!(
            length.map(|(_, length)| length.clone()),
            edits.body.as_ref().map(|body| body.len().to_string())
        );
        let body = edits.body.map(|body| serde_json::from_slice(&body).unwrap());
        (stream, body)
    }

    fn answer(&mut self, stream: &mut Stream, headers: &[(&str, &str)], body: &str) -> String {
        let Step::Filter { .. } = stream.response(&mut self.stage, headers) else {
            panic!("{body}")
        };
        let Step::Replace(out) = stream.chunk(&mut self.stage, body.as_bytes(), true) else {
            panic!("{body}")
        };
        String::from_utf8(out).unwrap()
    }
}

fn calling(tool: &str, id: &Value) -> String {
    let params = json!({"id": 1, "name": tool, "arguments": {"id": 2}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

#[test]
fn p17_what_is_redacted_otherwise_goes_up_under_another_id() {
    let mut session = Session::open(Rc::default());
    let mut id_of = |tool: &str, id: Value| {
        let body = calling(tool, &id);
        let (_, up) = session.send(&body);
        let Some(up) = up else { return id };
        let expected: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(merge(up.clone(), json!({"id": id})), expected, "no other byte changes");
        up["id"].clone()
    };
    for id in [json!(7), json!("7"), json!("a \" \\ é {"), json!("")] {
        let (plain, profile) = (id_of("plain", id.clone()), id_of("profile", id.clone()));
        let (person, card) = (id_of("person", id.clone()), id_of("card", id.clone()));
        assert_eq!(plain, id, "nothing is redacted");
        assert_eq!(profile, person, "the same is redacted");
        assert!(plain != profile && plain != card && profile != card, "{id}");
        assert_eq!(id_of("profile", id), profile);
    }
    assert_ne!(id_of("profile", json!(7)), id_of("profile", json!("7")));
    // The official Ruby SDK takes no others.
    let is_taken = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    for id in [json!(7), json!(-7), json!("7"), json!("a \" \\ é {"), json!("~~~>>>???")] {
        let up = id_of("profile", id);
        assert!(up.as_str().unwrap().chars().all(is_taken), "{up}");
    }
    assert_ne!(id_of("profile", json!(7)), id_of("profile", json!("\"7")));
}

#[test]
fn p17_the_answer_has_the_clients_id() {
    let mut session = Session::open(Rc::default());
    for id in [json!(-7), json!("7"), json!("a \" \\ é {"), json!("")] {
        let (_, up) = session.send(&calling("profile", &id));
        let marked = &up.unwrap()["id"];
        let answer = |id: &Value, ssn: &str| {
            json!({"jsonrpc": "2.0", "id": id, "result": {"structuredContent": {"id": marked, "ssn": ssn}}})
                .to_string()
        };
        for (headers, around) in [(JSON, ["", ""]), (EVENTS, ["id: 1\ndata: ", "\n\n"])] {
            let body = |id, ssn| [around[0], &*answer(id, ssn), around[1]].concat();
            let (mut stream, _) = session.send(&calling("profile", &id));
            let out = session.answer(&mut stream, &headers, &body(marked, "078"));
            assert_eq!(out, body(&id, "[redacted]"));
        }
        let failure =
            |id: &Value| json!({"id": id, "error": {"code": 1, "message": ""}}).to_string();
        let (mut stream, _) = session.send(&calling("profile", &id));
        assert_eq!(session.answer(&mut stream, &JSON, &failure(marked)), failure(&id));
    }
}

#[test]
fn p17_a_stream_that_replays_an_answer_gives_the_clients_id() {
    let mut session = Session::open(Rc::default());
    let (_, up) = session.send(&calling("card", &json!(7)));
    let headers = [(":method", "GET"), ("mcp-session-id", &*session.id)];
    let (mut stream, _) = session.stage.post(&session.token, &headers);
    let step = stream.body(&mut session.stage, b"");
    let _ = stream.go_up(&mut session.stage, step);
    let event = |id: &Value, card: &str| {
        format!("data: {}\n\n", json!({"id": id, "result": {"structuredContent": {"card": card}}}))
    };
    let out = session.answer(&mut stream, &EVENTS, &event(&up.unwrap()["id"], "4111"));
    assert_eq!(out, event(&json!(7), "[redacted]"));
}

#[test]
fn p17_so_do_the_answers_to_a_batch() {
    let mut session = Session::open(Rc::default());
    let message = |tool, id| serde_json::from_str::<Value>(&calling(tool, &json!(id))).unwrap();
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress"});
    let batch = json!([message("plain", 1), progress, message("card", 2)]).to_string();
    let (mut stream, up) = session.send(&batch);
    let ids: Vec<Value> =
        up.unwrap().as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert!(ids[0].is_string() && ids[1].is_null() && ids[2].is_string(), "{ids:?}");
    let answers = |one: &Value, other: &Value| {
        json!([{"id": one, "result": {}}, {"id": other, "result": {}}]).to_string()
    };
    let out = session.answer(&mut stream, &JSON, &answers(&ids[2], &ids[0]));
    assert_eq!(out, answers(&json!(2), &json!(1)));
}

/// In another request's answer, which is not filtered, a list would show all that it has.
#[test]
fn a_list_goes_up_under_an_id_of_its_own() {
    let mut session = Session::open(Rc::default());
    let list = |id: &Value| json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"}).to_string();
    for id in [json!(7), json!("7")] {
        let (_, up) = session.send(&list(&id));
        let marked = up.unwrap()["id"].clone();
        assert_ne!(marked, id);
        assert_ne!(session.send(&calling("profile", &id)).1.unwrap()["id"], marked);
        let answer = |id: &Value, tools: Value| json!({"id": id, "result": {"tools": tools}});
        let (all, shown) =
            (json!([{"name": "hidden"}, {"name": "plain"}]), json!([{"name": "plain"}]));
        for (headers, around) in [(JSON, ["", ""]), (EVENTS, ["data: ", "\n\n"])] {
            let body = |id, tools| [around[0], &*answer(id, tools).to_string(), around[1]].concat();
            let (mut stream, _) = session.send(&list(&id));
            let out = session.answer(&mut stream, &headers, &body(&marked, all.clone()));
            assert_eq!(out, body(&id, shown.clone()));
        }
        let (mut stream, _) = session.send(&list(&id));
        let failure = |id: &Value| format!("data: {}\n\n", json!({"error": {"code": 1}, "id": id}));
        assert_eq!(session.answer(&mut stream, &EVENTS, &failure(&marked)), failure(&id));
    }
}

#[test]
fn p17_whichever_worker_is_told_that_a_request_is_cancelled_tells_the_server() {
    let data: Rc<Data> = Rc::default();
    let (mut one, mut other) = (Session::open(Rc::clone(&data)), Session::open(data));
    let cancelling = |id: &Value| {
        let params = json!({"requestId": id, "reason": "requestId"});
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
    };
    for id in [json!(7), json!("7")] {
        let (_, up) = one.send(&calling("profile", &id));
        let (_, cancelled) = other.send(&cancelling(&id).to_string());
        assert_eq!(cancelled, Some(cancelling(&up.unwrap()["id"])));
    }
    for unknown in [json!(8), json!("8"), json!(null), json!({"id": 7})] {
        let (_, cancelled) = other.send(&cancelling(&unknown).to_string());
        assert_eq!(cancelled, None, "as it is: {unknown}");
    }
}

#[test]
fn p17_no_client_gives_such_an_id_itself() {
    let mut session = Session::open(Rc::default());
    let (_, up) = session.send(&calling("profile", &json!(7)));
    let marked = &up.unwrap()["id"];
    let headers = [("mcp-session-id", &*session.id)];
    let (mut stream, _) = session.stage.post(&session.token, &headers);
    let step = stream.body(&mut session.stage, calling("plain", marked).as_bytes());
    assert_eq!(step.reply().status, 400);
    assert_eq!(stream.close(&mut session.stage, 400).unwrap()["reason"], "invalid_request");
}

#[test]
fn p17_outside_of_sessions_ids_stay() {
    let mut stage = Stage::with(redacting());
    let (mut stream, step) = stage.send(&token(json!({})), &calling("profile", &json!(7)));
    assert_eq!(stream.go_up(&mut stage, step).body, None);
}

/// What Envoy's buffer cannot hold when the filter puts it there ends Envoy itself, and it need hold
/// no more than `body_bytes`.
#[test]
fn no_body_goes_up_that_with_its_marks_is_longer_than_one_may_be() {
    let longest = 700;
    let mut configuration = redacting();
    configuration["limits"] = json!({ "body_bytes": longest });
    let mut session = Session::open_with(configuration, Rc::default());
    let padded = |tool: &str, length: usize| {
        let body = calling(tool, &json!(7));
        let padding = " ".repeat(length - body.len());
        body + &padding
    };
    for (tool, length, expected) in
        [("plain", longest, true), ("profile", longest, false), ("profile", longest - 20, false)]
    {
        let headers = [("mcp-session-id", &*session.id)];
        let (mut stream, _) = session.stage.post(&session.token, &headers);
        let step = stream.body(&mut session.stage, padded(tool, length).as_bytes());
        if expected {
            let _ = stream.go_up(&mut session.stage, step);
            continue;
        }
        assert_eq!(step.reply().status, 413);
        assert_eq!(stream.close(&mut session.stage, 413).unwrap()["reason"], "body_too_large");
    }
    let (_, up) = session.send(&padded("profile", longest - 100));
    assert!(up.unwrap().to_string().contains("mcp-deputy-"));
}
