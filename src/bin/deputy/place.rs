//! Which rules people mean, by the name of a policy or the path of an endpoint.

use clap::Args;
use mcp_deputy::config::Problems;

use crate::judge::Judge;
use crate::report::Failure;
use crate::source::Source;

/// Which rules; not needed if there is one endpoint.
#[derive(Args)]
#[group(multiple = false)]
pub struct Place {
    /// The policy that judges
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// The path of the endpoint
    #[arg(long, value_name = "PATH")]
    endpoint: Option<String>,
}

impl Place {
    /// The policy that judges there.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn judge<'a>(&self, source: &'a Source) -> Result<Judge<'a>, Failure> {
        let mut problems = Problems::default();
        if let Some(name) = &self.policy {
            let policies = &source.typed.policies;
            let Some((name, _)) = policies.get_key_value(name) else {
                let known = policies.keys().map(String::as_str);
                problems.add_unknown("", format!("unknown policy `{name}`"), name, known);
                return Err(Failure::usage(problems));
            };
            // It has no errors: it was compiled with the rest.
            let judges = Judge::all(source, name).unwrap_or_default();
            return one(judges, "this policy judges several endpoints", source);
        }
        let judges = Judge::at_endpoints(source);
        let judges: Vec<_> = judges.filter(|judge| judge.is_at(self.endpoint.as_deref())).collect();
        if let (Some(path), []) = (&self.endpoint, judges.as_slice()) {
            let known = source.typed.endpoints.iter().map(|endpoint| endpoint.path.as_str());
            problems.add_unknown("", format!("unknown endpoint `{path}`"), path, known);
            return Err(Failure::usage(problems));
        }
        one(judges, "there are several endpoints", source)
    }
}

/// The only one.
fn one<'a>(judges: Vec<Judge<'a>>, several: &str, source: &Source) -> Result<Judge<'a>, Failure> {
    let mut judges = judges.into_iter();
    if let (Some(judge), None) = (judges.next(), judges.next()) {
        return Ok(judge);
    }
    let paths = source.typed.endpoints.iter().map(|endpoint| endpoint.path.as_str());
    let paths: Vec<&str> = paths.collect();
    let help = format!("name one with `--endpoint`: `{}`", paths.join("`, `"));
    Err(Failure::Usage(format!("{several}; help: {help}")))
}
