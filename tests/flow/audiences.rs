//! Which token is for which endpoint, and which metadata say so (RFC 9728 sections 3.2 and 3.3).

use mcp_deputy::transaction::Step;
use serde_json::{Value, json};

use super::stage::*;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// A protected resource with these endpoints.
fn stage_of(resource: &str, paths: &[&str], audiences: Option<Value>) -> Stage {
    let mut configuration = configuration();
    configuration["protected_resource"]["resource"] = json!(resource);
    let endpoint = |path: &&str| json!({"path": path, "policy": "ledger"});
    configuration["endpoints"] = paths.iter().map(endpoint).collect();
    if let Some(audiences) = audiences {
        configuration["issuers"][0]["audiences"] = audiences;
    }
    Stage::with(configuration)
}

/// The document at a path, if there is one.
fn document(stage: &mut Stage, path: &str) -> Option<Value> {
    let headers = [(":method", "GET"), (":path", path)];
    let reply = stage.begin().headers(stage, &headers, true).reply();
    (reply.status == 200).then(|| body(&reply))
}

/// Why a token for this audience is refused at an endpoint; nothing if it is not.
fn refusal(stage: &mut Stage, path: &str, audience: &Value) -> Option<String> {
    let (stream, step) = stage.post(&token(json!({"aud": audience})), &[(":path", path)]);
    let Step::Reply(reply) = step else { return None };
    let challenge = header(&reply, "www-authenticate").unwrap();
    let metadata = format!("resource_metadata=\"https://gateway.example{WELL_KNOWN}{path}\"");
    assert_eq!(challenge, format!("Bearer error=\"invalid_token\", {metadata}"));
    assert_eq!(reply.status, 401);
    let record = stream.close(stage, 401).unwrap();
    assert!(record["subject"].is_null(), "nobody is known here by that token");
    Some(record["reason"].as_str().unwrap().to_owned())
}

/// A client that came to a document by a challenge believes it only if it names the URL that it asked
/// for.
#[test]
fn every_challenge_leads_to_a_document_of_the_very_url_that_was_asked_for() {
    for resource in ["https://gateway.example", "https://gateway.example/", RESOURCE] {
        let mut stage = stage_of(resource, &["/mcp", "/mcp/ledger", "/mcp/hr"], None);
        for path in ["/mcp", "/mcp/ledger", "/mcp/hr"] {
            let scoped = token(json!({"scope": "audit:read", "aud": resource}));
            for (token, body, status) in
                [("", "", 401), ("bad", "", 401), (&*scoped, &*call("getCustomerPII"), 403)]
            {
                let (mut stream, step) = stage.post(token, &[(":path", path)]);
                let step = match step {
                    Step::Pause => stream.body(&mut stage, body.as_bytes()),
                    step => step,
                };
                let reply = step.reply();
                assert_eq!(reply.status, status);
                let challenge = header(&reply, "www-authenticate").unwrap();
                let url = challenge.rsplit_once("resource_metadata=").unwrap().1;
                let location = url.trim_matches('"').strip_prefix("https://gateway.example");
                let document = document(&mut stage, location.unwrap()).unwrap();
                assert_eq!(document["resource"], format!("https://gateway.example{path}"));
                assert_eq!(document["authorization_servers"], json!([ISSUER]));
            }
        }
    }
}

#[test]
fn a_token_in_the_query_is_answered_by_the_endpoints_own_challenge_too() {
    let mut stage = stage_of(RESOURCE, &["/mcp/hr"], None);
    let more = [(":path", "/mcp/hr?access_token=x")];
    let reply = stage.post(&token(json!({})), &more).1.reply();
    let expected = format!(
        "Bearer error=\"invalid_request\", \
         resource_metadata=\"https://gateway.example{WELL_KNOWN}/mcp/hr\""
    );
    assert_eq!((reply.status, header(&reply, "www-authenticate")), (400, Some(&*expected)));
}

#[test]
fn a_protected_resource_that_is_no_endpoint_keeps_its_own_document() {
    let mut stage = stage_of(RESOURCE, &["/mcp/ledger"], None);
    for path in ["", "/mcp"] {
        let document = document(&mut stage, &format!("{WELL_KNOWN}{path}")).unwrap();
        assert_eq!(document["resource"], RESOURCE);
    }
    // The last slash is no part of the endpoint's URL.
    let mut stage = stage_of("https://gateway.example/mcp/", &["/mcp"], None);
    for (path, resource) in [("/mcp", RESOURCE), ("/mcp/", "https://gateway.example/mcp/")] {
        let document = document(&mut stage, &format!("{WELL_KNOWN}{path}")).unwrap();
        assert_eq!(document["resource"], resource);
    }
}

/// RFC 9728 section 3.2. One client asks for a scope of no name otherwise.
#[test]
fn a_list_of_no_scopes_is_left_out_of_the_metadata() {
    let mut configuration = configuration();
    configuration["protected_resource"]["scopes_supported"] = json!([]);
    configuration["endpoints"] = json!([{"path": "/mcp", "policy": "open"}]);
    configuration["policies"].as_object_mut().unwrap().remove("ledger");
    let mut stage = Stage::with(configuration);
    let document = document(&mut stage, &format!("{WELL_KNOWN}/mcp")).unwrap();
    assert_eq!(document.get("scopes_supported"), None, "{document}");
}

/// What was found of a token at one endpoint is remembered, and never counts for another.
#[test]
fn k22_a_token_for_one_endpoint_is_refused_at_every_other_whichever_sees_it_first() {
    let at = |path: &str| json!(format!("https://gateway.example{path}"));
    let wrong = Some("wrong_audience".to_owned());
    for order in [["/mcp/ledger", "/mcp/hr"], ["/mcp/hr", "/mcp/ledger"]] {
        let mut stage = stage_of(RESOURCE, &["/mcp", "/mcp/ledger", "/mcp/hr"], None);
        for path in [order, order].concat() {
            let of_hr = if path == "/mcp/hr" { None } else { wrong.clone() };
            assert_eq!(refusal(&mut stage, path, &at("/mcp/hr")), of_hr);
            for audience in [json!(RESOURCE), json!(["account", RESOURCE]), at(path)] {
                assert_eq!(refusal(&mut stage, path, &audience), None, "{audience} at {path}");
            }
            for audience in ["/mcp/other", "/mcp/hr/", "/MCP/hr", "", "/"] {
                assert_eq!(refusal(&mut stage, path, &at(audience)), wrong, "{audience}");
            }
            let both = json!([at("/mcp/hr"), at("/mcp/ledger")]);
            assert_eq!(refusal(&mut stage, path, &both), None);
            assert_eq!(refusal(&mut stage, "/mcp", &both), wrong);
        }
    }
}

#[test]
fn audiences_that_are_written_are_the_whole_law() {
    let mut stage = stage_of(RESOURCE, &["/mcp", "/mcp/hr"], Some(json!(["api://tools"])));
    for path in ["/mcp", "/mcp/hr"] {
        assert_eq!(refusal(&mut stage, path, &json!("api://tools")), None);
        for audience in [RESOURCE, "https://gateway.example/mcp/hr", "https://gateway.example"] {
            let reason = refusal(&mut stage, path, &json!(audience));
            assert_eq!(reason.as_deref(), Some("wrong_audience"), "{audience}");
        }
    }
}

/// RFC 3986 section 6.2.3: an empty path is the same as `/`, and clients write either.
#[test]
fn an_origin_is_accepted_with_a_slash_and_without() {
    for resource in ["https://gateway.example", "https://gateway.example/"] {
        let mut stage = stage_of(resource, &["/mcp"], None);
        for audience in ["https://gateway.example", "https://gateway.example/", RESOURCE] {
            assert_eq!(refusal(&mut stage, "/mcp", &json!(audience)), None, "{audience}");
        }
        for audience in ["https://gateway.example//", "https://gateway.example/mcp/"] {
            assert!(refusal(&mut stage, "/mcp", &json!(audience)).is_some(), "{audience}");
        }
        let written = json!(["https://gateway.example"]);
        let mut stage = stage_of(resource, &["/mcp"], Some(written));
        assert!(refusal(&mut stage, "/mcp", &json!("https://gateway.example/")).is_some());
    }
}
