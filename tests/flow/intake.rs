//! What a request is, by its headers: the right path, origin, method, token and media type.

use mcp_deputy::request::Headers;
use mcp_deputy::transaction::{Event, Step};
use serde_json::json;

use super::stage::*;

fn status(stage: &mut Stage, headers: &[(&str, &str)]) -> Option<u16> {
    let mut stream = stage.begin();
    match stream.headers(stage, headers, true) {
        Step::Reply(reply) => Some(reply.status),
        _ => None,
    }
}

#[test]
fn t13_t14_m03_a_path_that_nearly_names_an_endpoint_is_refused() {
    let mut stage = Stage::new();
    for path in [
        "/MCP",
        "/mcp/",
        "//mcp",
        "/./mcp",
        "/x/../mcp",
        "/mcp/.",
        "/mcp;a=b",
        "/%6dcp",
        "/mcp%2f",
        "/mcp%00",
        "/%256dcp",
        "\\mcp",
        "/mcp#f",
        "/mcp\\",
        "/mcp%20",
        "/other",
        "",
        "mcp",
        "http://gateway.example/mcp",
        "/health/../mcp",
        "/health/%2e%2e/mcp",
        "/.well-known/oauth-protected-resource/../mcp",
        "//.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/other",
    ] {
        assert_eq!(
            status(&mut stage, &[(":method", "POST"), (":path", path)]),
            Some(404),
            "{path}"
        );
    }
    assert_eq!(status(&mut stage, &[(":method", "POST")]), Some(404));
}

#[test]
fn what_is_ignored_is_left_alone_and_nothing_else_is() {
    let mut stage = Stage::new();
    let get = |path, host| [(":method", "GET"), (":path", path), (":authority", host)];
    for (path, host) in [
        ("/health", "gateway.example"),
        ("/health/live?x", "gateway.example"),
        ("/anything", "other.example"),
        ("/anything", "OTHER.example"),
    ] {
        let mut stream = stage.begin();
        let edits = stream.headers(&mut stage, &get(path, host), true).edits();
        assert_eq!((edits.set, edits.remove), (vec![], vec![]), "{path}");
        assert_eq!(stream.close(&mut stage, 200), None, "{path} is not ours to record");
    }
    assert_eq!(
        status(&mut stage, &get("/mcp", "other.example")),
        Some(401),
        "any client can say so"
    );
    for (path, host) in [
        ("/healthy", "gateway.example"),
        ("/Health", "gateway.example"),
        ("/health/../mcp", "gateway.example"),
        ("/health/x/%2e%2e/%2e%2e/admin", "gateway.example"),
        ("/anything", "other.example.evil"),
        ("/anything", "other.example:8080"),
        ("/MCP", "other.example"),
        ("/mcp/", "other.example"),
    ] {
        assert_eq!(status(&mut stage, &get(path, host)), Some(404), "{host}{path}");
    }
}

#[test]
fn m01_m02_each_endpoint_has_a_metadata_document_which_ignores_the_host() {
    let mut stage = Stage::new();
    for (path, resource) in
        [("", RESOURCE), ("/mcp", RESOURCE), ("/mcp/open", "https://gateway.example/mcp/open")]
    {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let mut stream = stage.begin();
        let headers = [
            (":method", "GET"),
            (":path", &*path),
            (":authority", "evil.example"),
            ("x-forwarded-host", "evil.example"),
        ];
        let reply = stream.headers(&mut stage, &headers, true).reply();
        assert_eq!(reply.status, 200);
        assert_eq!(header(&reply, "access-control-allow-origin"), Some("*"));
        let expected = json!({
            "resource": resource,
            "authorization_servers": [ISSUER],
            "scopes_supported": ["mcp:connect", "pii:read", "audit:read"],
            "bearer_methods_supported": ["header"],
        });
        assert_eq!(body(&reply), expected);
        assert_eq!(stream.close(&mut stage, 200).unwrap()["decision"], "serve");
        for (method, expected) in [("HEAD", 200), ("OPTIONS", 204), ("POST", 405), ("PUT", 405)] {
            let headers = [(":method", method), (":path", &*path)];
            assert_eq!(status(&mut stage, &headers), Some(expected), "{method}");
        }
    }
}

#[test]
fn t25_a_foreign_origin_is_refused_and_an_allowed_one_may_read_the_answer() {
    let mut stage = Stage::new();
    let token = token(json!({}));
    for origin in ["https://evil.example", "null", "https://app.example.evil", "http://app.example"]
    {
        let (_, step) = stage.post(&token, &[("origin", origin)]);
        assert_eq!(step.reply().status, 403, "{origin}");
    }
    let twice = [("origin", "https://app.example"), ("origin", "https://evil.example")];
    assert_eq!(stage.post(&token, &twice).1.reply().status, 403);
    for origin in ["https://app.example", "https://gateway.example", "HTTPS://APP.example"] {
        assert!(stage.post(&token, &[("origin", origin)]).1.is_pause(), "{origin}");
    }
    let (_, step) = stage.post("bad", &[("origin", "https://app.example")]);
    let reply = step.reply();
    assert_eq!(reply.status, 401);
    assert_eq!(header(&reply, "access-control-allow-origin"), Some("https://app.example"));
    let exposed = header(&reply, "access-control-expose-headers").unwrap();
    assert!(exposed.contains("WWW-Authenticate") && exposed.contains("Mcp-Session-Id"));
}

#[test]
fn a_preflight_needs_no_token_but_an_allowed_origin() {
    let mut stage = Stage::new();
    let ask = |origin| [(":method", "OPTIONS"), (":path", "/mcp"), ("origin", origin)];
    let mut stream = stage.begin();
    let reply = stream.headers(&mut stage, &ask("https://app.example"), true).reply();
    assert_eq!(reply.status, 204);
    assert_eq!(header(&reply, "access-control-allow-origin"), Some("https://app.example"));
    assert!(header(&reply, "access-control-allow-headers").unwrap().contains("authorization"));
    assert_eq!(status(&mut stage, &ask("https://evil.example")), Some(403));
}

/// What an argument's header is called is the tool's (MCP 2026-07-28), so the page says it.
#[test]
fn a_page_may_send_the_headers_that_mirror_arguments_and_no_others() {
    let mut stage = Stage::new();
    let asked = "authorization,mcp-param-region, mcp-param-a\"b,mcp-param-x y,x-user,mcp-param-t_1";
    let headers = [
        (":method", "OPTIONS"),
        (":path", "/mcp"),
        ("origin", "https://app.example"),
        ("access-control-request-headers", asked),
    ];
    let reply = stage.begin().headers(&mut stage, &headers, true).reply();
    let allowed = header(&reply, "access-control-allow-headers").unwrap();
    assert!(allowed.ends_with(", mcp-name, mcp-param-region, mcp-param-t_1"), "{allowed}");
}

#[test]
fn t19_other_http_methods_are_refused_after_the_token_is_checked() {
    let mut stage = Stage::new();
    let token = token(json!({}));
    for method in ["PUT", "PATCH", "TRACE", "HEAD", "CONNECT", "post", "POST ", "PROPFIND"] {
        assert_eq!(stage.post("bad", &[(":method", method)]).1.reply().status, 401, "{method}");
        let reply = stage.post(&token, &[(":method", method)]).1.reply();
        assert_eq!(reply.status, 405, "{method}");
        assert!(header(&reply, "allow").unwrap().contains("POST"));
    }
}

#[test]
fn t16_t21_a_token_counts_only_alone_in_the_authorization_header() {
    let mut stage = Stage::new();
    let good = token(json!({}));
    let plain = [(":method", "POST"), (":path", "/mcp")];
    let ask = |stage: &mut Stage, more: &[(&str, &str)]| {
        let headers = [&plain[..], more].concat();
        let reply = stage.begin().headers(stage, &headers, true).reply();
        (reply.status, header(&reply, "www-authenticate").unwrap().to_owned())
    };
    let missing = "Bearer scope=\"mcp:connect\", \
        resource_metadata=\"https://gateway.example/.well-known/oauth-protected-resource/mcp\"";
    let cookie = format!("access_token={good}");
    for more in [
        vec![],
        vec![("cookie", &*cookie)],
        vec![("authorization", "Basic YTpi")],
        vec![("authorization", "Bearer")],
        vec![("authorization", "Bearer ")],
        vec![("authorization", "")],
        vec![("proxy-authorization", &*good)],
        // Other schemes have commas in their parameters (RFC 9110 section 11.4).
        vec![("authorization", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c")],
        vec![("authorization", "Digest username=\"a\", realm=\"Bearer b\", response=\"c\"")],
        vec![("authorization", "Basic YTpi, Negotiate a")],
        vec![("authorization", "Basic YTpi"), ("authorization", "Negotiate a")],
        vec![("authorization", ",")],
    ] {
        assert_eq!(ask(&mut stage, &more), (401, missing.to_owned()), "{more:?}");
    }
    let (one, other) = (format!("Bearer {good}"), "Bearer x.y.z");
    let joined = format!("{one}, {other}");
    let [after, before, tight] = ["Basic YTpi, {}", "{}, Basic YTpi", "Digest a=b,{}"]
        .map(|text| text.replace("{}", &one.replace("Bearer", "bEARER")));
    for more in [
        vec![("authorization", &*one), ("authorization", other)],
        vec![("authorization", other), ("authorization", &*one)],
        vec![("authorization", &*joined)],
        vec![("authorization", &*after)],
        vec![("authorization", &*before)],
        vec![("authorization", &*tight)],
        vec![("authorization", "Basic YTpi"), ("authorization", &*one)],
        vec![("authorization", "Bearer,")],
    ] {
        let (status, challenge) = ask(&mut stage, &more);
        assert_eq!(status, 400);
        assert!(challenge.starts_with("Bearer error=\"invalid_request\", "), "{challenge}");
    }
    for query in ["access_token=x", "a=1&access%5Ftoken=x", "Access_Token=x"] {
        let path = format!("/mcp?{query}");
        let (_, step) = stage.post(&good, &[(":path", &path)]);
        assert_eq!(step.reply().status, 400, "{query}");
    }
    let (_, step) =
        stage.post(&good, &[("authorization", ""), ("authorization", &format!("bearer  {good}"))]);
    assert!(step.is_pause(), "the scheme has no case (RFC 9110 section 11.1)");
}

#[test]
fn a_header_that_is_no_text_is_no_token_and_no_path() {
    let mut stage = Stage::new();
    let mut answer = |path: &[u8], authorization: &[u8]| {
        let headers =
            [(":method", &b"POST"[..]), (":path", path), ("authorization", authorization)];
        let headers = Event::RequestHeaders { headers: Headers(&headers), end_of_stream: true };
        let mut stream = stage.begin();
        let reply = stream.event(&mut stage, headers).reply();
        (reply.status, header(&reply, "www-authenticate").unwrap_or_default().to_owned())
    };
    let (status, challenge) = answer(b"/mcp", b"Bearer \xff\xfe");
    assert_eq!(status, 401);
    assert!(challenge.starts_with("Bearer error=\"invalid_token\", "), "{challenge}");
    assert_eq!(answer(b"/mcp\xff", b"Bearer x").0, 404);
}

#[test]
fn t01_t04_only_plain_json_in_utf_8_is_read() {
    let mut stage = Stage::new();
    let token = token(json!({}));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-type", "application/json; charset=utf-7"),
        ("content-type", "application/json, text/plain"),
        ("content-type", ""),
        ("content-encoding", "gzip"),
        ("content-encoding", "gzip, identity"),
    ] {
        assert_eq!(stage.post(&token, &[(name, value)]).1.reply().status, 415, "{name}: {value}");
    }
    for (name, value) in
        [("content-type", "APPLICATION/JSON;charset=UTF-8"), ("content-encoding", "identity")]
    {
        assert!(stage.post(&token, &[(name, value)]).1.is_pause(), "{name}: {value}");
    }
}

#[test]
fn t17_a_get_or_delete_with_a_body_is_refused() {
    let token = token(json!({}));
    for method in ["GET", "DELETE"] {
        let mut stage = Stage::new();
        let (mut stream, step) = stage.post(&token, &[(":method", method)]);
        assert!(step.is_pause());
        assert_eq!(stream.body(&mut stage, call("listAccounts").as_bytes()).reply().status, 400);
        let (mut stream, _) = stage.post(&token, &[(":method", method)]);
        let callout = stream.body(&mut stage, b"").callout();
        assert!(String::from_utf8(callout.body).unwrap().ends_with("scope=ledger%3AConnect"));
    }
}

#[test]
fn a_body_over_the_limit_is_refused_as_soon_as_it_is() {
    let mut configuration = configuration();
    configuration["limits"] = json!({"body_bytes": 100});
    let mut stage = Stage::with(configuration);
    let token = token(json!({}));
    let (mut stream, _) = stage.post(&token, &[]);
    let more = |length| mcp_deputy::transaction::Event::RequestBody { length, whole: None };
    assert!(stream.event(&mut stage, more(100)).is_pause());
    assert_eq!(stream.event(&mut stage, more(101)).reply().status, 413);
    assert_eq!(stream.close(&mut stage, 413).unwrap()["reason"], "body_too_large");
}
