//! The `authorization_details` of a delegation token (RFC 9396): those that were asked for, or none.

use serde_json::Value;

use super::Target;

/// Whether these details are those that were asked for (RFC 9396 sections 7 and 9.1); if none were,
/// there must be none, since each grants something.
pub(super) fn are_details(details: &Value, target: &Target) -> bool {
    match target.authorization_details.as_deref().map(serde_json::from_str::<Value>) {
        None => details.is_null() || details.as_array().is_some_and(Vec::is_empty),
        Some(asked) => asked.is_ok_and(|asked| is_same(&asked, details)),
    }
}

/// Whether two values are the same, however a server writes its numbers.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has = |(name, one): (&String, &Value)| {
                other.get(name).is_some_and(|other| is_same(one, other))
            };
            one.len() == other.len() && one.iter().all(has)
        }
        _ => one == other,
    }
}
