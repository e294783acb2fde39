//! `deputy test`: do the policies decide as their decision cases say?

mod coverage;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use mcp_deputy::config::{ConfigErrors, Problems};
use mcp_deputy::policy::rule::Rule;
use serde_json::{Value, json};

use crate::cases::{Cases, Surroundings};
use crate::judge::Judge;
use crate::report::{
    BAD, Diagnostic, EXIT_CODES, Failure, Format, HELP, ODD, count, print_json, say,
};
use crate::source::{Source, SourceArguments};
use coverage::Coverage;
use run::{Outcome, run};

/// Judge the decision cases in `policies/NAME.test.yaml`, and tell which rules they leave out
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Test {
    #[command(flatten)]
    source: SourceArguments,
    /// Test this policy alone
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// The file with its cases, in place of `NAME.test.yaml`
    #[arg(long, value_name = "FILE", requires = "policy")]
    cases: Option<PathBuf>,
    /// Fail if there is a rule that no case sees hold, or none sees fail
    #[arg(long)]
    require_coverage: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What became of the cases of all policies.
#[derive(Default)]
struct Results {
    outcomes: Vec<Outcome>,
    coverage: Coverage,
}

impl Test {
    /// Runs the command.
    ///
    /// # Errors
    /// A case fails; or the configuration or the cases have errors or cannot be read.
    pub fn run(self) -> Result<(), Failure> {
        let format = self.format;
        self.results().map_err(|failure| format.tell(failure))
    }

    fn results(self) -> Result<(), Failure> {
        let source = self.source.read()?;
        let files = files(&source, self.policy.as_deref(), self.cases.as_ref())?;
        let mut results = Results::default();
        let mut errors = Vec::new();
        for (name, file) in &files {
            match judge(&source, name, file.as_deref()) {
                Ok(judged) => {
                    results.outcomes.extend(judged.outcomes);
                    results.coverage.add(judged.coverage);
                }
                Err(problems) => {
                    let file = file.as_deref().unwrap_or(self.source.file());
                    errors.extend(Diagnostic::all_in(file, problems.0));
                }
            }
        }
        if !errors.is_empty() {
            return Err(Failure::Configuration(errors));
        }
        if results.outcomes.is_empty() {
            if self.format == Format::Json {
                print_json(&results.json())?;
            }
            let help = "write some into `NAME.test.yaml` beside the policy";
            return Err(Failure::Usage(format!("there are no decision cases; help: {help}")));
        }
        match self.format {
            Format::Text => results.print(),
            Format::Json => print_json(&results.json())?,
        }
        let failed = results.outcomes.iter().any(|outcome| !outcome.differences.is_empty());
        let uncovered = self.require_coverage && results.coverage.open().next().is_some();
        if failed || uncovered { Err(Failure::Cases) } else { Ok(()) }
    }
}

/// The policies to test, each with the file of its cases, if it has one.
fn files(
    source: &Source,
    only: Option<&str>,
    cases: Option<&PathBuf>,
) -> Result<Vec<(String, Option<PathBuf>)>, Failure> {
    let policies = &source.typed.policies;
    if let Some(file) = cases {
        fs::metadata(file).map_err(|error| Failure::file(file, &error))?;
    }
    if let Some(name) = only.filter(|name| !policies.contains_key(*name)) {
        let known = policies.keys().map(String::as_str);
        let mut problems = Problems::default();
        problems.add_unknown("", format!("unknown policy `{name}`"), name, known);
        return Err(Failure::usage(problems));
    }
    let named = policies.keys().filter(|name| only.is_none_or(|only| only == *name));
    let file = |name: &String| source.cases(name).filter(|file| file.exists());
    let files = named.map(|name| (name.clone(), cases.cloned().or_else(|| file(name)))).collect();
    if let (None, Some(directory)) = (only, &source.policies) {
        check_names(directory, &policies.keys().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(files)
}

/// Cases that no policy would be judged by are a mistake.
fn check_names(directory: &Path, policies: &[&str]) -> Result<(), Failure> {
    let entries = directory.read_dir().map_err(|error| Failure::file(directory, &error))?;
    let mut errors = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(policy) = name.strip_suffix(".test.yaml") else { continue };
        if policies.contains(&policy) {
            continue;
        }
        let mut problems = Problems::default();
        let known = policies.iter().copied();
        problems.add_unknown("", format!("there is no policy `{policy}`"), policy, known);
        errors.extend(Diagnostic::all_in(&entry.path(), problems.into_errors()));
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Configuration(errors)) }
}

/// Runs the cases of one policy at every endpoint that it judges.
fn judge(source: &Source, name: &str, file: Option<&Path>) -> Result<Results, ConfigErrors> {
    let judges = Judge::all(source, name)?;
    let mut results = Results::default();
    rules_of(&judges).for_each(|rule| results.coverage.expect(rule));
    let (Some(file), Some(policy)) = (file, source.typed.policies.get(name)) else {
        return Ok(results);
    };
    let prefix = format!("{name}.");
    let rules = results.coverage.names().filter_map(|rule| rule.strip_prefix(&prefix));
    let around = Surroundings {
        policy: name,
        rules: rules.map(str::to_owned).collect(),
        reads_time: rules_of(&judges).any(Rule::reads_time),
        endpoints: judges.iter().filter_map(|judge| Some(&*judge.endpoint()?.path)).collect(),
        config: &source.config,
    };
    let cases = Cases::read(file)?;
    let mut problems = Problems::default();
    let calls = cases.compile(&around, &mut problems);
    problems.into_result(Some(()))?;
    run(&cases, &calls, &judges, policy, file, &mut results);
    Ok(results)
}

fn rules_of<'a>(judges: &'a [Judge]) -> impl Iterator<Item = &'a Rule> {
    judges.iter().flat_map(|judge| judge.policy().all_rules())
}

impl Results {
    fn failed(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| !outcome.differences.is_empty())
    }

    fn print(&self) {
        for outcome in self.failed() {
            say(format!("{BAD}failed{BAD:#}: {}: {}", outcome.path, outcome.given));
            say(format!("  {HELP}-->{HELP:#} {}", outcome.file.display()));
            for difference in &outcome.differences {
                say(format!("  {difference}"));
            }
        }
        for (rule, seen) in self.coverage.open() {
            say(format!("{ODD}uncovered{ODD:#}: {rule}: {}", seen.lack()));
        }
        let failed = self.failed().count();
        let passed = self.outcomes.len().saturating_sub(failed);
        let (rules, open) = (self.coverage.names().count(), self.coverage.open().count());
        let covered = rules.saturating_sub(open);
        let rules = count(rules, "rule");
        say(format!("{passed} passed, {failed} failed; {covered} of {rules} covered"));
    }

    fn json(&self) -> Value {
        let failed = self.failed().count();
        let cases: Vec<Value> = self.outcomes.iter().map(Outcome::json).collect();
        json!({
            "passed": self.outcomes.len().saturating_sub(failed),
            "failed": failed,
            "cases": cases,
            "coverage": self.coverage.json(),
        })
    }
}
