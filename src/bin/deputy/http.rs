//! Requests to servers, whose every answer is looked at as it is.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// One that believes what this machine's store of certificates says, follows no redirection, and
/// takes no status for an error. `by_proxy`: it asks by way of the proxy of the environment, if any.
pub fn agent(timeout: Duration, by_proxy: bool) -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .tls_config(tls);
    if by_proxy { config.build().into() } else { config.proxy(None).build().into() }
}
