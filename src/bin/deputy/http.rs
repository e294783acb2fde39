//! Requests to servers, whose every answer is looked at as it is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::report::reason;

/// One that believes what this machine's store of certificates says. `by_proxy`: it asks by way of the
/// proxy of the environment, if any.
pub fn agent(timeout: Duration, by_proxy: bool) -> Agent {
    agent_of(timeout, by_proxy, RootCerts::PlatformVerifier)
}

/// One that believes these authorities, and asks without a proxy.
pub fn agent_believing(authorities: RootCerts, timeout: Duration) -> Agent {
    agent_of(timeout, false, authorities)
}

/// It follows no redirection, and takes no status for an error.
fn agent_of(timeout: Duration, by_proxy: bool, authorities: RootCerts) -> Agent {
    let tls = TlsConfig::builder().root_certs(authorities).build();
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .tls_config(tls);
    if by_proxy { config.build().into() } else { config.proxy(None).build().into() }
}

/// The authorities whose certificates a file holds, in PEM.
///
/// # Errors
/// Why there are none, in words.
pub fn authorities(file: &Path) -> Result<RootCerts, String> {
    let name = file.display();
    let text = fs::read(file).map_err(|error| format!("`{name}`: {}", reason(&error)))?;
    let mut all = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(one) = item.map_err(|error| format!("`{name}`: {error}"))? {
            all.push(one);
        }
    }
    if all.is_empty() {
        return Err(format!("`{name}`: it holds no certificate"));
    }
    Ok(RootCerts::from(all))
}
