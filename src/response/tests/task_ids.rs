//! Whose ids of tasks an answer names; row S05.

use super::*;

/// Messages that name a task by this id, in each place where one can.
fn messages_that_name(id: &str) -> Vec<String> {
    let related = format!(
        r#""_meta" : {{"a":"t1","io.modelcontextprotocol/related-task":{{"taskId":"{id}"}}}}"#
    );
    let detailed = format!(
        r#" "taskId" : "{id}" , "status":"completed","result":{{"taskId":"t1","content":["t1"]}}"#
    );
    let with_params = |method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{params}}}}}"#)
    };
    vec![
        result(&format!(r#""task": {{"ttl":1, "taskId":"{id}" ,"a":["t1"]}}"#)),
        result(&format!(r#""resultType":"task",{detailed}"#)),
        result(&format!(r#""structuredContent":{{"taskId":"t1"}},{related}"#)),
        with_params("notifications/tasks/status", &detailed),
        with_params("notifications/tasks", &detailed),
        with_params("elicitation/create", &format!(r#""message":"t1",{related}"#)),
        with_params(
            "notifications/subscriptions/acknowledged",
            &format!(r#""notifications":{{"taskIds":["{id}" , "{id}"],"a":"t1"}}"#),
        ),
    ]
}

#[test]
fn s05_the_ids_of_tasks_are_exchanged_and_no_other_byte() {
    for (server, client) in messages_that_name("t1").iter().zip(messages_that_name("sealed-t1")) {
        assert_eq!(json(server).as_deref(), Ok(&*client));
        let event = |message: &str| format!("id: 1\ndata: {message}\n\n");
        assert_eq!(sse(&event(server)), Ok(event(&client)));
    }
}

#[test]
fn s05_an_event_about_a_task_of_no_known_tool_is_none() {
    for message in messages_that_name("unknown") {
        assert_eq!(json(&message), Err(ResponseError::Task(TaskError::Unasked)));
        let stream = format!("id: 1\ndata: {message}\nretry: 5\n\nid: 2\ndata: {{}}\n\n");
        assert_eq!(sse(&stream).unwrap(), "id: 1\nretry: 5\n\nid: 2\ndata: {}\n\n");
    }
}

/// A tool may log what an attacker wrote; that must not keep its answer from the client.
#[test]
fn a_notification_that_two_readers_could_read_differently_is_none() {
    let data = r#""level":"info","data":{"tools":1,"A":1,"a":2}"#;
    let log =
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{{data}}}}}"#);
    let answer = result(r#""content":[]"#);
    let stream = format!("id: 1\ndata: {log}\n\nid: 2\ndata: {answer}\n\n");
    assert_eq!(sse(&stream).unwrap(), format!("id: 1\n\nid: 2\ndata: {answer}\n\n"));
    assert_eq!(json(&log), Err(ResponseError::Task(TaskError::Unasked)));
}

#[test]
fn s05_the_id_of_a_task_that_cannot_be_read_or_sealed_fails() {
    let malformed = ResponseError::Task(TaskError::Malformed);
    let variant = ResponseError::Json(JsonError::NameVariant);
    for (members, expected) in [
        (r#""taskId":"m1""#, malformed),
        (r#""taskId":7"#, malformed),
        (r#""taskId":null"#, malformed),
        (r#""taskId":"t\u0031""#, malformed),
        (r#""task":{"taskId":"t1","taskid":"t2"}"#, variant),
        (r#""TaskId":"t1""#, variant),
        (
            r#""task":{"taskId":"t1","taskId":"t2"}"#,
            ResponseError::Json(JsonError::DuplicateMember),
        ),
    ] {
        assert_eq!(json(&result(members)), Err(expected), "{members}");
        assert_eq!(sse(&format!("data: {}\n\n", result(members))), Err(expected), "{members}");
    }
}
