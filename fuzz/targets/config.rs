//! Whatever is pushed: it is refused with errors, or it means the same when it is read again.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use mcp_deputy::config::Config;
use serde_json::Value;

fuzz_target!(|text: &[u8]| -> Corpus {
    let environment = |name: &str| (name == "KEY").then(|| "k".repeat(32));
    match Config::parse(text, &environment) {
        Err(errors) => {
            assert!(!errors.0.is_empty(), "refused without a word");
            // An operator reads each in one line of a log.
            assert!(errors.0.iter().all(|error| !error.to_string().is_empty()));
            Corpus::Keep
        }
        Ok(config) => {
            let value: Value = serde_json::from_slice(text).expect("accepted, so JSON");
            let again = Config::parse(value.to_string().as_bytes(), &environment);
            let again = again.expect("accepted again");
            assert_eq!(again.policy_hash, config.policy_hash);
            assert_eq!(again.endpoints.len(), config.endpoints.len());
            let paths = value["endpoints"].as_array().expect("a list").iter();
            assert!(paths.zip(&config.endpoints).all(|(one, known)| one["path"] == *known.path));
            // The tools check without the secrets: they accept no less.
            Config::from_value(value).expect("accepted without secrets");
            Corpus::Keep
        }
    }
});
