//! Where an issuer's keys are fetched.

use super::{Duration, Problems, pushed};
use crate::token::RemoteJwks;

/// Whoever asks more often is a burden to the issuer.
const SHORTEST_INTERVAL: Duration = Duration::seconds(10);
const SHORTEST_COOLDOWN: Duration = Duration::seconds(1);

pub(super) fn compile(raw: &pushed::RemoteJwks, path: &str, problems: &mut Problems) -> RemoteJwks {
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    for (name, text) in [("cluster", &raw.cluster), ("authority", &raw.authority)] {
        if !visible(text) {
            problems.add(format!("{path}.{name}"), format!("`{text}` is empty or has spaces"));
        }
    }
    if !visible(&raw.path) || !raw.path.starts_with('/') {
        let message = format!("`{}` is not a path", raw.path);
        let help = "write what follows the host in `jwks_uri`, such as `/jwks`";
        problems.add_with_help(format!("{path}.path"), message, help);
    }
    if raw.timeout.as_std().is_zero() {
        problems.add(format!("{path}.timeout"), "no key set is fetched in no time");
    }
    for (name, given, least) in [
        ("interval", raw.interval, SHORTEST_INTERVAL),
        ("cooldown", raw.cooldown, SHORTEST_COOLDOWN),
    ] {
        if given < least {
            let message = format!("`{given}` is less than `{least}`");
            problems.add(format!("{path}.{name}"), message);
        }
    }
    if let Some(max_stale) = raw.max_stale
        && max_stale <= raw.interval.and(raw.timeout)
    {
        problems.add_with_help(
            format!("{path}.max_stale"),
            format!("`{max_stale}` is over before the keys are fetched again"),
            format!(
                "make it longer than `interval` and `timeout`, several times `{}`",
                raw.interval
            ),
        );
    }
    RemoteJwks {
        cluster: raw.cluster.as_str().into(),
        authority: raw.authority.as_str().into(),
        path: raw.path.as_str().into(),
        timeout: raw.timeout.as_std(),
        interval: raw.interval.as_std(),
        cooldown: raw.cooldown.as_std(),
        max_stale: raw.max_stale.map(Duration::as_std),
    }
}
