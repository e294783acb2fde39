//! What must hold for every body.

use super::*;

#[test]
fn every_truncation_is_refused() {
    for body in corpus() {
        assert!(read(&body).is_ok(), "{body}");
        for end in 0..body.len() {
            let cut = body.as_bytes().get(..end).unwrap();
            assert!(read(cut).is_err(), "{body} cut at {end}");
        }
    }
}

/// One changed byte never panics, and never changes the object without changing its text.
#[test]
fn every_single_byte_change_is_refused_or_read_as_written() {
    for body in corpus() {
        for at in 0..body.len() {
            for byte in 0..=255 {
                let mut changed = body.clone().into_bytes();
                changed[at] = byte;
                let Ok(operation) = read(&changed) else { continue };
                let value: serde_json::Value = serde_json::from_slice(&changed).unwrap();
                assert_eq!(value["method"], operation.method.as_str());
                assert_eq!(value["id"], serde_json::to_value(&operation.id).unwrap());
                let params = &value["params"];
                match &operation.object {
                    Some(Object::Tool(name) | Object::Prompt(name)) if params["ref"].is_null() => {
                        assert_eq!(params["name"], **name);
                    }
                    Some(Object::Prompt(name)) => assert_eq!(params["ref"]["name"], **name),
                    Some(Object::Resource(uri)) => assert_eq!(params["uri"], **uri),
                    Some(Object::Task(task)) => assert_eq!(params["taskId"], *task.id),
                    _ => {}
                }
            }
        }
    }
}

fn corpus() -> Vec<String> {
    vec![
        call(r#"{"name":"greet","arguments":{"name":"\u00e9\ud834\udd1e é","n":[1,-2.5e3,null]}}"#),
        request(
            r#""method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"}}"#,
        ),
        request(r#""method":"resources/read","params":{"uri":"file:///a/b?c#d"}"#),
        request(r#""method":"tasks/cancel","params":{"taskId":"k-1","_meta":{}}"#),
        r#"{"jsonrpc":"2.0","id":"abc","method":"ping"}"#.into(),
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#.into(),
    ]
}

#[test]
fn errors_say_nothing_of_the_input() {
    let marker = "s3cret-marker";
    for body in [
        request(&format!(r#""method":"{marker}""#)),
        call(&format!(r#"{{"name":"{marker} "}}"#)),
        call(&format!(r#"{{"{marker}":1,"{marker}":2}}"#)),
        format!("{{{marker}"),
    ] {
        let error = read(body).unwrap_err();
        assert!(!format!("{error} {error:?} {}", error.reason()).contains(marker), "{error:?}");
    }
}
