//! Where an issuer's keys are fetched.

use super::{Duration, Problems, check_target, is_authority, is_name, pushed};
use crate::token::RemoteJwks;

/// Whoever asks more often is a burden to the issuer.
const SHORTEST_INTERVAL: Duration = Duration::seconds(10);
const SHORTEST_COOLDOWN: Duration = Duration::seconds(1);

pub(super) fn compile(raw: &pushed::RemoteJwks, path: &str, problems: &mut Problems) -> RemoteJwks {
    is_name(&raw.cluster, format!("{path}.cluster"), problems);
    is_authority(&raw.authority, format!("{path}.authority"), problems);
    check_target(&raw.path, format!("{path}.path"), "jwks_uri", problems);
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
