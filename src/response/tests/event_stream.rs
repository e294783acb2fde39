//! How an event stream is framed; rows P06 to P13.

use super::*;

#[test]
fn p06_p14_an_event_is_one_value_that_all_readers_read_alike() {
    let (one, two) = (result(r#""tools":[]"#), result(r#""tools":[{"name":"hidden"}]"#));
    assert!(sse(&format!("data: {one}\ndata: {two}\n\n")).is_err());
    assert!(sse(&format!("data: {one}{two}\n\n")).is_err());
    assert!(sse(&format!("data: x {two}\n\n")).is_err());
    for name in ["Tools", "tool\\u017f", "tool\u{17f}", "\\u0074ools", "PROMPTS"] {
        let event = format!("data: {}\n\n", result(&format!(r#""{name}":[{SECRET}]"#)));
        assert!(!sse(&event).unwrap_or_default().contains("hidden"), "{name}");
    }
    for name in ["tas\u{212a}Id", "task\u{131}d", "TASK\u{130}D"] {
        assert!(
            sse(&format!("data: {}\n\n", result(&format!(r#""{name}":"a""#)))).is_err(),
            "{name}"
        );
    }
}

#[test]
fn p07_every_line_ending_ends_a_line_and_goes_out_as_one() {
    let message = result(&format!(r#""tools":[{SECRET},{{"name":"a"}}]"#));
    let filtered = result(r#""tools":[{"name":"a"}]"#);
    for end in ["\n", "\r", "\r\n"] {
        let input = format!("id: 1{end}data: {message}{end}{end}: ping{end}data: 2{end}{end}");
        let expected = format!("id: 1\ndata: {filtered}\n\n:\ndata: 2\n\n");
        assert_eq!(sse(&input).as_deref(), Ok(&*expected), "{end:?}");
    }
    // JSON may break between tokens, and then its lines are data lines.
    let (before, after) = message.split_at(message.find(',').unwrap() + 1);
    for end in ["\n", "\r", "\r\n"] {
        let input = format!("data: {before}{end}data:{after}{end}event: message{end}{end}");
        let out = sse(&input).unwrap();
        assert!(!out.contains("hidden") && out.contains("event: message\n"), "{out:?}");
        assert_eq!(out.matches("data: ").count(), 2);
    }
    let mixed = format!("data: {message}\r\r\ndata: 1\n\rdata: {message}\r\n\n");
    assert!(!sse(&mixed).unwrap().contains("hidden"));
    // Some readers end lines at LF alone.
    let split = message.replace(r#""result""#, "\r\r\"result\"");
    for input in [format!("data:\r\r{message}\n\n"), format!("data: {split}\n\n")] {
        let out = sse(&input).unwrap();
        assert!(!out.contains("hidden") && !out.contains('\r'), "{out:?}");
    }
}

#[test]
fn p08_no_byte_order_mark_passes() {
    let event = format!("data: {}\n\n", result(&format!(r#""tools":[{SECRET}]"#)));
    let empty = format!("data: {}\n\n", result(r#""tools":[]"#));
    assert_eq!(sse(&format!("\u{feff}{event}")).as_deref(), Ok(&*empty));
    // A second one is part of a field's name, which some readers do not know; nor that it is bytes.
    for mark in ["\u{feff}\u{feff}", "\n\u{feff}", ": c\n\u{feff}", "\u{ef}\u{bb}\u{bf}"] {
        let out = sse(&format!("{mark}{event}")).unwrap();
        assert!(!out.contains("data") && out.is_ascii(), "{mark:?}: {out:?}");
    }
}

#[test]
fn p09_only_data_is_data() {
    let (secret, empty) = (result(&format!(r#""tools":[{SECRET}]"#)), result(r#""tools":[]"#));
    for (input, expected) in [
        (format!("data:{secret}\n\n"), format!("data: {empty}\n\n")),
        (format!("data\ndata: {secret}\n\n"), format!("data: \ndata: {empty}\n\n")),
        (format!("data:  {secret}\n\n"), format!("data:  {empty}\n\n")),
        (
            format!("data: {secret}\n:c\nretry: 5\nid\n\n"),
            format!("data: {empty}\n:\nretry: 5\nid\n\n"),
        ),
        (
            "event:message\ndata: 1\nid:a/b=\n\n".into(),
            "event:message\ndata: 1\nid:a/b=\n\n".into(),
        ),
        ("event:\ndata: 1\n\n".into(), "event:\ndata: 1\n\n".into()),
    ] {
        assert_eq!(sse(&input).as_deref(), Ok(&*expected), "{input}");
    }
    for name in ["data ", "DATA", "Data", " data", "datum", "data\u{a0}", "\u{2028}data", "retry"] {
        let out = sse(&format!("{name}: {secret}\n\n:\n"));
        assert_eq!(out.as_deref(), Ok("\n:\n"), "{name}");
    }
    // Some readers end lines at these too.
    for end in ["\u{2028}", "\u{85}", "\u{b}", "\u{c}", "\0"] {
        let out = sse(&format!(": c{end}data: {secret}\nid: 1{end}data: {secret}\n\n"));
        assert_eq!(out.as_deref(), Ok(":\n\n"), "{end:?}");
    }
    for (end, escaped) in [("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029"), ("\u{85}", "\\u0085")]
    {
        let event =
            |end: &str| format!("data: {{\"é\":\"a{end}{end}event: endpoint{end}data: b\"}}\n\n");
        assert_eq!(sse(&event(end)), Ok(event(escaped)));
    }
    for end in ["\u{b}", "\u{c}", "\u{1c}", "\u{1e}"] {
        let out = sse(&format!("id: 1\ndata: a{end}event: endpoint{end}\n\n"));
        assert_eq!(out.as_deref(), Ok("id: 1\n\n"));
    }
    assert_eq!(sse("data\n\ndata:\n\n").as_deref(), Ok("data\n\ndata:\n\n"));
}

/// By `endpoint`, an event of a revision that is not served, clients are told where to send what
/// follows, with their token.
#[test]
fn an_event_of_another_name_than_message_loses_its_data() {
    for name in ["endpoint", "foo", "Message", "message ", "messages"] {
        for input in [
            format!("id: 7\nevent: {name}\ndata: https://evil.example\n\ndata: 1\n\n"),
            format!("id: 7\ndata: https://evil.example\nevent:{name}\n\ndata: 1\n\n"),
            format!("id: 7\nevent: {name}\ndata: evil\nevent: message\n\ndata: 1\n\n"),
        ] {
            let out = sse(&input).unwrap();
            assert!(out.starts_with("id: 7\n") && out.ends_with("\ndata: 1\n\n"), "{out:?}");
            assert!(!out.contains("evil"), "{out:?}");
        }
    }
}

#[test]
fn p11_an_event_without_its_end_is_dropped() {
    let event = format!("data: {}", result(&format!(r#""tools":[{SECRET}]"#)));
    for end in ["", "\n", "\r", "\r\n"] {
        let out = sse(&format!(": hello\n\nid: 1\n{event}{end}")).unwrap();
        assert_eq!(out, ":\n\nid: 1\n");
    }
    assert_eq!(sse("data: 1\n\n: unfinished").unwrap(), "data: 1\n\n");
}

#[test]
fn p13_the_shape_decides_and_not_the_id() {
    for id in ["1", "\"1\"", "null", "\"other\""] {
        let message = format!(r#"{{"id":{id},"result":{{"tools":[{SECRET}]}}}}"#);
        let out = sse(&format!("data: {message}\n\ndata: [{message}]\n\n")).unwrap();
        assert!(!out.contains("hidden"), "{id}");
    }
}

#[test]
fn comments_pass_at_once_and_data_waits_for_its_event() {
    let mut filter = events();
    let mut pass = |chunk: &str| {
        String::from_utf8(filter.chunk(chunk.as_bytes(), false, VIEW).unwrap()).unwrap()
    };
    assert_eq!(pass(": ping\n"), ":\n");
    assert_eq!(pass("id: 4\n"), "id: 4\n");
    assert_eq!(pass("data: 1\n"), "");
    assert_eq!(pass(": ping\n"), "");
    assert_eq!(pass("\nda"), "data: 1\n:\n\n");
}
