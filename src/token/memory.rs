//! How much memory a caller takes: rather too much than too little, since what is counted here is all
//! that keeps the callers within their bounds.

use serde_json::{Map, Value};

use super::{Caller, Claims};

/// What an allocation takes besides its bytes.
const ALLOCATION: usize = 24;
/// A node of a map, which has places for eleven members; all but the first hold five at least.
const NODE: usize = 720;
const MEMBERS: usize = 5;

/// With its token, which the store that keeps it has as its key.
pub(super) fn of(caller: &Caller) -> usize {
    let Claims { audiences, scopes, actors, members, .. } = &caller.claims;
    let claims = &caller.claims;
    let texts = [&claims.issuer, &claims.subject].into_iter();
    let texts = texts
        .chain([&claims.id, &claims.client, &claims.session, &claims.acr].into_iter().flatten());
    let texts = texts.chain(&claims.actor_client).chain(audiences).chain(scopes).chain(actors);
    let may_act = claims.may_act.iter();
    let may_act = may_act.flat_map(|party| [&party.subject, &party.client, &party.issuer]);
    let texts =
        texts.chain(may_act.flatten()).map(|one| size_of::<Box<str>>().saturating_add(text(one)));
    // The bits of the scopes are few, and no token has more of them than names.
    let places = caller.endpoints.as_deref().map(size_of_val).unwrap_or_default();
    let whole = [
        size_of::<Caller>(),
        text(caller.token.reveal()),
        text(&caller.owner),
        places.saturating_add(ALLOCATION),
        object(members),
    ];
    sum(texts.chain(whole))
}

fn text(text: &str) -> usize {
    text.len().saturating_add(ALLOCATION)
}

fn object(members: &Map<String, Value>) -> usize {
    let one = |(name, value): (&String, &Value)| text(name).saturating_add(heap(value));
    let nodes = members.len().div_ceil(MEMBERS);
    sum(members.iter().map(one)).saturating_add(nodes.saturating_mul(NODE))
}

fn heap(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(one) => text(one),
        Value::Array(elements) => {
            let one = |element| size_of::<Value>().saturating_add(heap(element));
            sum(elements.iter().map(one)).saturating_add(ALLOCATION)
        }
        Value::Object(members) => object(members),
    }
}

fn sum(sizes: impl IntoIterator<Item = usize>) -> usize {
    sizes.into_iter().fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::expectations;
    use super::super::{BearerToken, ScopeTable};
    use super::*;
    use crate::config::pushed::Limits;

    /// A caller whose token has so many bytes.
    fn caller(length: usize, more: &Value) -> Caller {
        let mut claims = json!({
            "iss": "https://login.example", "sub": "sarah.connor@orchestrator.lab",
            "aud": ["https://gateway.example/mcp", "account"], "iat": 0, "exp": 300,
            "jti": "dbe39bf3a3ba4238a513f51d6e1691c4", "sid": "5f6e7d8c", "client_id": "cli",
            "scope": "openid profile email mcp:connect pii:read audit:read ledger:write",
            "act": {"sub": "agent", "client_id": "agent-1", "act": {"sub": "portal"}},
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let claims = claims.as_object().unwrap().clone();
        let scopes = ScopeTable::default();
        let mut caller = Caller::danger_unverified(claims, &expectations(), &scopes).unwrap();
        // What rules read.
        caller.claims.members.retain(|name, _| more.get(name).is_some());
        caller.token = BearerToken::new(&"x".repeat(length));
        caller
    }

    #[test]
    fn ten_thousand_usual_tokens_fit_into_the_default_bound() {
        let Limits { cached_tokens, cached_token_bytes, .. } = Limits::default();
        let caller =
            caller(1_500, &json!({"groups": ["finance", "admins"], "department": "finance"}));
        assert!(of(&caller) + 512 <= cached_token_bytes / cached_tokens, "{}", of(&caller));
    }

    #[test]
    fn what_is_small_in_json_and_large_in_memory_counts_as_it_is() {
        let plain = of(&caller(1_500, &json!({})));
        let many = |one: Value| vec![one; 1_000];
        for (claims, least) in [
            (json!({"kept": many(json!(0))}), 1_000 * size_of::<Value>()),
            (json!({"kept": many(json!({"a": 0}))}), 1_000 * 600),
            (json!({"scope": "a ".repeat(1_000)}), 1_000 * (size_of::<Box<str>>() + 1)),
        ] {
            assert!(of(&caller(1_500, &claims)) > plain + least - 1_000, "{least}");
        }
    }
}
