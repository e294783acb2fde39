//! What Envoy's admin interface says of the filter that Envoy was pushed.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use ureq::Agent;

/// The discovery of `deputy`, whatever the listener is called.
const STATISTICS: &str =
    "/stats?format=json&filter=^extension_config_discovery\\.http_filter\\.(.*\\.)?deputy\\.";

/// How often Envoy is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// The admin interface of one Envoy.
pub struct Admin {
    agent: Agent,
    url: String,
}

/// What became of the pushes so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pushes {
    /// The version that Envoy names as the last good one.
    version: String,
    /// How often all workers had a new one.
    taken: u64,
    /// How often one was refused.
    refused: u64,
}

/// What Envoy made of a push.
pub enum Outcome {
    /// Every worker has it.
    Taken,
    /// It has an error that Envoy, or the filter in it, found.
    Refused,
    /// Neither in time: what was said last.
    Unknown(String),
}

impl Admin {
    /// The interface at this URL, which is asked for no longer than `patience` at a time.
    pub fn new(url: &str, patience: Duration) -> Self {
        // No proxy: the interface is on this machine, or it should be.
        let config = Agent::config_builder().timeout_global(Some(patience)).proxy(None);
        Self { agent: config.build().into(), url: url.trim_end_matches('/').to_owned() }
    }

    /// # Errors
    /// What is wrong, if Envoy does not answer.
    pub fn pushes(&self) -> Result<Pushes, String> {
        let answer = self.agent.get(format!("{}{STATISTICS}", self.url)).call();
        let read = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        let text = read.map_err(|error| format!("Envoy's admin at `{}`: {error}", self.url))?;
        Pushes::read(&text).map_err(|error| format!("Envoy's admin at `{}`: {error}", self.url))
    }

    /// Waits until Envoy has taken `version`, or refused it.
    pub fn outcome(&self, before: &Pushes, version: &str, patience: Duration) -> Outcome {
        let started = Instant::now();
        loop {
            let pushes = self.pushes();
            match &pushes {
                Ok(now) if now.refused > before.refused => return Outcome::Refused,
                Ok(now) if now.has_taken(before, version) => return Outcome::Taken,
                _ if started.elapsed() < patience => sleep(PAUSE),
                Ok(now) if now.version.is_empty() => {
                    return Outcome::Unknown("it has no configuration".to_owned());
                }
                Ok(now) => return Outcome::Unknown(format!("it has version {}", now.version)),
                Err(error) => return Outcome::Unknown(error.clone()),
            }
        }
    }
}

impl Pushes {
    fn read(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Statistics {
            stats: Vec<Statistic>,
        }
        #[derive(Deserialize)]
        struct Statistic {
            #[serde(default)]
            name: String,
            #[serde(default)]
            value: Value,
        }
        let mut pushes = Self::default();
        for Statistic { name, value } in serde_json::from_str::<Statistics>(text)?.stats {
            let number = value.as_u64().unwrap_or_default();
            match name.rsplit('.').next().unwrap_or_default() {
                "version_text" => {
                    value.as_str().unwrap_or_default().clone_into(&mut pushes.version);
                }
                "config_reload" => pushes.taken = pushes.taken.saturating_add(number),
                // Both count one refusal; more than before is all that matters.
                "config_fail" | "update_rejected" => {
                    pushes.refused = pushes.refused.saturating_add(number);
                }
                _ => {}
            }
        }
        Ok(pushes)
    }

    /// Envoy names a version as soon as it is good, and counts it when every worker has it.
    fn has_taken(&self, before: &Self, version: &str) -> bool {
        self.version == version && (before.version == version || self.taken > before.taken)
    }
}
