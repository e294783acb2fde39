//! What each revision makes of the same message (classes `mcp-header` and `jsonrpc`).

use super::*;

#[test]
fn r13_a_method_exists_in_its_revisions_alone() {
    for &method in Method::ALL {
        for revision in Revision::ALL {
            let (_, body) = request_in(method, "{}");
            let version = format!("\"{}\"", revision.as_str());
            let body = body.replace("\"2026-07-28\"", &version);
            let is_known =
                !matches!(parse(body.as_bytes(), revision), Err(BodyError::UnknownMethod { .. }));
            let is_in = method.is_in(revision) && !method.is_notification();
            assert_eq!(is_known, is_in, "{method:?} in {revision:?}");
        }
    }
}

#[test]
fn h06_the_body_names_the_revision_of_the_header() {
    for revision in Revision::ALL {
        for named in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "x"] {
            let meta = META.replace("2026-07-28", named);
            let body = call(&format!(r#"{{"name":"greet",{meta}}}"#));
            if named == revision.as_str() {
                assert_eq!(tool_in(revision, body), "greet");
            } else {
                let error = refused_in(revision, "H06", body, 400, -32020);
                assert_eq!(error.id(), Some(&Id::Number(1)));
            }
        }
    }
    // A method of the other revision is no reason to say less.
    let discover = request(&format!(r#""method":"server/discover","params":{{{META}}}"#));
    refused_in(Revision::November2025, "H06", discover, 400, -32020);
}

fn tool_in(revision: Revision, body: String) -> String {
    match read_in(revision, body) {
        Ok(Operation { object: Some(Object::Tool(name)), .. }) => name.into(),
        other => panic!("{revision:?}: {other:?}"),
    }
}

#[test]
fn a_stateless_request_says_who_asks() {
    let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
    let capabilities = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
    for (params, member) in [
        ("{}".to_owned(), "protocolVersion"),
        (r#"{"_meta":{}}"#.to_owned(), "protocolVersion"),
        (format!(r#"{{"_meta":{{{capabilities}}}}}"#), "protocolVersion"),
        (format!(r#"{{"_meta":{{{version}}}}}"#), "clientCapabilities"),
        (
            format!(r#"{{"_meta":{{{version},"io.modelcontextprotocol/clientCapabilities":[]}}}}"#),
            "clientCapabilities",
        ),
    ] {
        let body = request(&format!(r#""method":"tools/list","params":{params}"#));
        let error = refused_in(Revision::July2026, "_meta", body, 400, -32602);
        assert_eq!(error.id(), Some(&Id::Number(1)));
        assert!(error.to_string().contains(member), "{params}: {error}");
    }
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}"#;
    assert!(read_in(Revision::July2026, cancelled).is_ok(), "a notification need not");
}

#[test]
fn initialize_names_its_own_revision() {
    let initialize = |version: &str| {
        request(&format!(r#""method":"initialize","params":{{"protocolVersion":{version}}}"#))
    };
    // What a server does not know it answers with one that it does (lifecycle, negotiation).
    for version in ["2024-11-05", "2025-03-26", "2025-11-25", "2026-07-28", "2099-01-01"] {
        let body = initialize(&format!("\"{version}\""));
        let offer = read_in(Revision::default(), &body).unwrap().offers.unwrap();
        assert_eq!((&*offer.name, &body[offer.place.unwrap()]), (version, version));
    }
    assert_eq!(read_in(Revision::default(), initialize("1")).unwrap().offers, None);
    let call = call(r#"{"name":"greet","protocolVersion":"2025-11-25"}"#);
    assert_eq!(read(call).unwrap().offers, None, "no other method offers one");
}

#[test]
fn a_body_refused_for_its_headers_still_has_its_id() {
    assert_eq!(read_id(br#"{"id":"a","method":7}"#), Some(Id::String("a".into())));
    for body in ["", "1", "{}", r#"[{"id":1}]"#, r#"{"id":{}}"#, r#"{"id":1,"id":2}"#, r#"{"id":1"#]
    {
        assert_eq!(read_id(body.as_bytes()), None, "{body}");
    }
}
