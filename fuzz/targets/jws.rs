//! A token is accepted only if it says what was asked for, and the key signed it as it stands.
#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use mcp_deputy::token::{Algorithm, Expectations, Issuer, KeySet, PureRust, Revoked, Unverified};
use mcp_deputy_fuzz::{ISSUER, NOW, PUBLIC_KEYS, RESOURCE, parts, sign};
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    // Lines: how it is signed, the header, the claims, and keys in place of the issuer's own.
    let Some([how, header, claims, keys]) = parts(input) else { return };
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let token = match how {
        "sound" => format!("{signed}.{}", encode(&sign(signed.as_bytes()))),
        "text" => header.to_owned(),
        how => match how.parse::<usize>() {
            // Of another text: with one bit changed, here.
            Ok(at) => {
                let mut other = signed.clone().into_bytes();
                let at = at % other.len();
                other[at] ^= 1;
                format!("{signed}.{}", encode(&sign(&other)))
            }
            Err(_) => format!("{signed}.{how}"),
        },
    };
    let keys = if keys.is_empty() { &PUBLIC_KEYS } else { keys };
    let Ok((keys, _)) = KeySet::from_slice(keys.as_bytes()) else { return };
    let algorithms = Algorithm::ALL.into();
    let issuer = Issuer { issuer: ISSUER.into(), keys, algorithms };
    let expectations = Expectations {
        audiences: vec![RESOURCE.into()],
        endpoints: Vec::new(),
        exact_audience: false,
        token_types: vec!["at+jwt".into()],
        scope_claims: vec!["scope".into()],
        client_claims: vec!["client_id".into()],
        client_required: false,
        kept_claims: vec!["acr".into()],
        revoked: Revoked::default(),
        max_lifetime: 3_600,
        leeway: 5,
    };
    let Ok(unverified) = Unverified::parse(&token) else { return };
    let Ok(verified) = unverified.verify(&issuer, &expectations, &PureRust, NOW) else { return };

    assert_eq!(how, "sound", "nobody else has the key");
    let header: Value = serde_json::from_str(header).expect("JSON");
    assert_eq!(header["alg"], "EdDSA");
    for member in ["crit", "b64", "zip", "cty", "jwk", "jku", "x5u", "x5c"] {
        assert!(header.get(member).is_none(), "{member}");
    }
    let typ = header["typ"].as_str().expect("a type").to_ascii_lowercase();
    assert!(["at+jwt", "application/at+jwt"].contains(&&*typ));
    let said: Value = serde_json::from_str(claims).expect("JSON");
    assert_eq!((&said["iss"], &said["sub"]), (&ISSUER.into(), &(*verified.subject).into()));
    let audiences = said["aud"].as_array().cloned().unwrap_or_else(|| vec![said["aud"].clone()]);
    assert!(audiences.contains(&RESOURCE.into()));
    let second = |name: &str| said[name].as_f64().expect("a time");
    let now = f64::from(u32::try_from(NOW).expect("before 2106"));
    assert!(second("exp") + 5.0 > now && second("iat") < now + 6.0);
    assert!(second("exp") - second("iat") < 3_601.0);
    assert!(said["nbf"].as_f64().is_none_or(|start| start < now + 6.0));
    assert!(said.get("cnf").is_none());
    let scopes: Vec<&str> = match &said["scope"] {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    assert!(verified.scopes.iter().all(|scope| scopes.contains(&&**scope)));
});
