//! How much memory a caller takes: rather too much than too little, since what is counted here is all
//! that keeps the callers within their bounds.

use serde_json::{Map, Value};

use super::{Caller, Claims};

/// What an allocation takes besides its bytes.
const ALLOCATION: usize = 16;
/// A node of a map, which has places for several members, and may be half full.
const NODE: usize = 640;
const MEMBER: usize = 128;

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
    let whole =
        [size_of::<Caller>(), text(caller.token.reveal()), text(&caller.owner), object(members)];
    sum(texts.chain(whole))
}

fn text(text: &str) -> usize {
    text.len().saturating_add(ALLOCATION)
}

fn object(members: &Map<String, Value>) -> usize {
    let one = |(name, value): (&String, &Value)| sum([MEMBER, text(name), heap(value)]);
    let node = if members.is_empty() { 0 } else { NODE };
    sum(members.iter().map(one)).saturating_add(node)
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
