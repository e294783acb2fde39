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
}

#[test]
fn p07_every_line_ending_ends_a_line() {
    let message = result(&format!(r#""tools":[{SECRET},{{"name":"a"}}]"#));
    let filtered = result(r#""tools":[{"name":"a"}]"#);
    let (before, after) = message.split_at(30);
    for end in ["\n", "\r", "\r\n"] {
        let input = format!("id: 1{end}data: {message}{end}{end}: ping{end}data: 2{end}{end}");
        let expected = format!("id: 1{end}data: {filtered}\n{end}: ping{end}data: 2{end}{end}");
        assert_eq!(sse(&input).as_deref(), Ok(&*expected), "{end:?}");
    }
    // JSON may break between tokens, and then its lines are data lines.
    let at = before.rfind(',').unwrap() + 1;
    let (before, after2) = (&before[..at], &message[at..]);
    assert!(after2.ends_with(after));
    for end in ["\n", "\r", "\r\n"] {
        let input = format!("data: {before}{end}data:{after2}{end}event: message{end}{end}");
        let out = sse(&input).unwrap();
        assert!(!out.contains("hidden") && out.contains("event: message\n"), "{out:?}");
        assert_eq!(out.matches("data: ").count(), 2);
    }
    let mixed = format!("data: {message}\r\r\ndata: 1\n\rdata: {message}\r\n\n");
    assert!(!sse(&mixed).unwrap().contains("hidden"));
}

#[test]
fn p08_a_byte_order_mark_leads_the_stream_once() {
    let event = format!("data: {}\n\n", result(&format!(r#""tools":[{SECRET}]"#)));
    let empty = format!("data: {}\n\n", result(r#""tools":[]"#));
    assert_eq!(sse(&format!("\u{feff}{event}")).unwrap(), format!("\u{feff}{empty}"));
    // A second one is part of a field's name.
    for input in [format!("\u{feff}\u{feff}{event}"), format!("\n\u{feff}{event}")] {
        assert_eq!(sse(&input).as_deref(), Ok(&*input));
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
            format!("data: {empty}\n:c\nretry: 5\nid\n\n"),
        ),
        (format!("event: foo\ndata: {secret}\n\n"), format!("event: foo\ndata: {empty}\n\n")),
    ] {
        assert_eq!(sse(&input).as_deref(), Ok(&*expected), "{input}");
    }
    for name in ["data ", "DATA", "Data", " data", "datum", ":data", ": data", "id", "data\u{a0}"] {
        let input = format!("{name}: {secret}\n\n:\n");
        assert_eq!(sse(&input).as_deref(), Ok(&*input), "{name}");
    }
    assert_eq!(sse("data\n\ndata:\n\n").unwrap(), "data\n\ndata:\n\n");
}

#[test]
fn p11_an_event_without_its_end_is_dropped() {
    let event = format!("data: {}", result(&format!(r#""tools":[{SECRET}]"#)));
    for end in ["", "\n", "\r", "\r\n"] {
        let out = sse(&format!(": hello\n\nid: 1\n{event}{end}")).unwrap();
        assert_eq!(out, ": hello\n\nid: 1\n");
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
    assert_eq!(pass(": ping\n"), ": ping\n");
    assert_eq!(pass("id: 4\n"), "id: 4\n");
    assert_eq!(pass("data: 1\n"), "");
    assert_eq!(pass(": ping\n"), "");
    assert_eq!(pass("\nda"), "data: 1\n: ping\n\n");
}
