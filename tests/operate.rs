//! What `deputy` does for who operates a gateway: pushes, reports, completions, the example pipeline.

// The helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use serde_json::{Value, json};
use support::{deputy_with as deputy, scratch, stderr, stdout};

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_push_writes_what_render_does_and_only_when_it_changes() {
    let directory = scratch("push");
    let into = directory.to_str().unwrap();
    let push = |more: &[&str]| deputy(&[&["push", into], more].concat(), "");
    let says = |output: &Output, done: &str| {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
        let head = format!("{into}/filter.yaml: {done}, policy ");
        assert!(stderr(output).starts_with(&head), "{}", stderr(output));
    };
    says(&push(&["--dry-run"]), "would be written");
    assert_eq!(names(&directory), [""; 0]);
    says(&push(&[]), "written");
    assert_eq!(names(&directory), ["filter.yaml"]);
    let pushed = fs::read_to_string(directory.join("filter.yaml")).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("filter.yaml");
    assert_eq!(pushed, fs::read_to_string(shipped).unwrap());
    says(&push(&[]), "unchanged");

    let change = ["--set", "limits.body_bytes=65536"];
    says(&push(&[&change[..], &["--dry-run"]].concat()), "would be written");
    assert_eq!(fs::read_to_string(directory.join("filter.yaml")).unwrap(), pushed);
    says(&push(&change), "written");
    assert_ne!(fs::read_to_string(directory.join("filter.yaml")).unwrap(), pushed);
    assert_eq!(names(&directory), ["filter.yaml"]);
}

#[test]
fn a_push_writes_under_the_name_that_envoy_watches() {
    let directory = scratch("push-name");
    let into = directory.to_str().unwrap();
    let output = deputy(&["push", into, "--set", "envoy.filter=/etc/deputy/ledger.yaml"], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(names(&directory), ["ledger.yaml"]);
}

#[test]
fn a_push_with_errors_or_to_nowhere_writes_nothing() {
    let directory = scratch("push-errors");
    let into = directory.to_str().unwrap();
    let nowhere = directory.join("nowhere");
    for (arguments, code, message) in [
        (&["push", into, "--set", "endpoints[0].policy=x"][..], 2, "unknown policy `x`"),
        (&["push", into, "--config", "nothing.yaml"], 1, "no such file or directory"),
        (&["push", nowhere.to_str().unwrap()], 1, "no such file or directory"),
        (&["push", into, "--admin", "http://127.0.0.1:1"], 1, "Envoy's admin"),
        (&["push", into, "--admin", "x"], 1, "Envoy's admin"),
        (&["push", into, "--wait", "soon"], 1, "not a duration"),
        (&["push"], 1, "DIR"),
    ] {
        let output = deputy(arguments, "");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(names(&directory), [""; 0]);
}

#[test]
fn a_push_says_that_the_rest_of_envoys_configuration_is_stale() {
    let directory = scratch("push-bootstrap");
    let into = directory.to_str().unwrap();
    deputy(&["render", "--out", into], "");
    assert!(!stderr(&deputy(&["push", into], "")).contains("stale"));
    let output = deputy(&["push", into, "--set", "limits.body_bytes=1000"], "");
    assert!(stderr(&output).contains("envoy.yaml: stale"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn what_is_pushed_can_be_read_by_whoever_could_read_it_before() {
    use std::os::unix::fs::PermissionsExt;

    let directory = scratch("push-mode");
    let (into, file) = (directory.to_str().unwrap(), directory.join("filter.yaml"));
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    deputy(&["push", into], "");
    assert_eq!(mode(), 0o644);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    deputy(&["push", into, "--set", "limits.body_bytes=1000"], "");
    assert_eq!(mode(), 0o640);
}

/// Envoy's buffer holds what the filter reads of a body: a smaller one could end Envoy.
#[test]
fn a_push_that_needs_a_larger_buffer_than_envoy_has_is_refused() {
    let directory = scratch("push-buffer");
    let into = directory.to_str().unwrap();
    let filter = directory.join("filter.yaml");
    let rendered = |more: &[&str]| {
        deputy(&[&["render", "--out", into], more].concat(), "");
        fs::read_to_string(&filter).unwrap()
    };
    let before = rendered(&[]);
    for (size, more) in [(2_000_000, &[][..]), (1_114_112, &["--dry-run"])] {
        let set = format!("limits.body_bytes={size}");
        let output = deputy(&[&["push", into, "--set", &set], more].concat(), "");
        let told = format!(
            "error: `{into}/envoy.yaml`: `per_connection_buffer_limit_bytes` is 1114112, not above \
             `limits.body_bytes`, {size}\n  help: render elsewhere, move that `envoy.yaml` here, \
             restart Envoy, and push again; or move away what no Envoy is started with\n"
        );
        assert!(stderr(&output).ends_with(&told), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(fs::read_to_string(&filter).unwrap(), before);
    }
    let fits = |size: u32| {
        let set = format!("limits.body_bytes={size}");
        let output = deputy(&["push", into, "--set", &set], "");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    };
    fits(1_114_111);
    rendered(&["--set", "limits.body_bytes=2000000"]);
    fits(3_000);
    // What Envoy has where nothing says it, is for the owner of that file to see to.
    fs::write(directory.join("envoy.yaml"), "admin: {}\n").unwrap();
    fits(4_000_000);
}

/// Statistics of an Envoy that has no eye on the directory.
fn admin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let body = r#"{"stats": []}"#;
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length";
            let _ = write!(stream, "{head}: {}\r\n\r\n{body}", body.len());
        }
    });
    format!("http://{address}")
}

#[test]
fn a_push_that_envoy_does_not_see_says_that_the_file_stays() {
    let directory = scratch("push-unseen");
    let arguments = ["push", directory.to_str().unwrap(), "--admin", &admin(), "--wait", "100ms"];
    let told = format!(
        "; the file stays, and Envoy may take it yet\n  help: is `{}` the directory of \
         `envoy.filter`, as Envoy sees it?\n",
        directory.display()
    );
    for _ in 0..2 {
        let output = deputy(&arguments, "");
        assert!(stderr(&output).ends_with(&told), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(8));
        assert_eq!(names(&directory), ["filter.yaml"]);
    }
}

#[test]
fn every_command_says_what_its_exit_codes_mean() {
    for command in [
        "check", "diff", "exchange", "explain", "keys", "push", "render", "schema", "shadow",
        "test",
    ] {
        let help = stdout(&deputy(&[command, "--help"], ""));
        assert!(help.contains("Exit codes:"), "{command}: {help}");
    }
}

fn record(time: u32, subject: &str, tool: &str, would_deny: bool) -> Value {
    let mut record = json!({
        "time": format!("2026-11-21T04:52:{time:02}.000Z"), "issuer": "https://login.example",
        "subject": subject, "client": "cli", "method": "tools/call", "tool": tool,
        "decision": "allow", "policy_hash": "759ec31d37468910",
    });
    if would_deny {
        record["would_deny"] = json!({
            "rule": format!("ledger.tools.{tool}"), "reason": "insufficient_scope",
            "message": format!("No {tool}\u{1b}[31m."),
        });
    }
    record
}

/// A log as Envoy and those who carry its logs write them: five records, three of them twice.
fn log() -> String {
    let first = record(1, "sarah", "wipe", true);
    let envoys =
        |record: &Value| format!("[2026][1][info][wasm] wasm log: deputy.audit {record}\n");
    [
        "[2026][1][warning] something else\n".to_owned(),
        envoys(&first),
        envoys(&record(3, "john", "read", true)),
        envoys(&record(5, "sarah", "read", false)),
        envoys(&record(4, "sarah", "wipe", true)),
        envoys(&record(2, "john", "wipe", true)),
        json!({"status": 200, "audit": first.to_string()}).to_string(),
        "\n\n".to_owned(),
    ]
    .concat()
}

#[test]
fn a_shadow_report_sums_up_the_most_frequent_first() {
    let output = deputy(&["shadow", "report"], &log());
    let expected = "\
count  subjects  clients  rule               object  reason              first                     last                      message
    3         2        1  ledger.tools.wipe  wipe    insufficient_scope  2026-11-21T04:52:01.000Z  2026-11-21T04:52:04.000Z  No wipe\\u001b[31m.
    1         1        1  ledger.tools.read  read    insufficient_scope  2026-11-21T04:52:03.000Z  2026-11-21T04:52:03.000Z  No read\\u001b[31m.
";
    assert_eq!(stdout(&output), expected);
    assert_eq!(
        stderr(&output),
        "4 would-denials in 6 audit records; 1 more had been read before; 1 other lines\n"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_shadow_report_is_there_for_programs_too() {
    let file = scratch("report").join("envoy.log");
    fs::write(&file, log()).unwrap();
    let output = deputy(&["shadow", "report", file.to_str().unwrap(), "-", "--format=json"], "x\n");
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["would_denials"], 4);
    assert_eq!([&report["records"], &report["repeated"], &report["other_lines"]], [6, 1, 2]);
    let expected = json!({
        "rule": "ledger.tools.wipe", "object": "wipe", "reason": "insufficient_scope",
        "count": 3, "subjects": 2, "clients": 1, "message": "No wipe\u{1b}[31m.",
        "first": "2026-11-21T04:52:01.000Z", "last": "2026-11-21T04:52:04.000Z",
    });
    assert_eq!(report["rows"][0], expected);
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_shadow_report_can_fail() {
    let none = record(1, "sarah", "wipe", false).to_string();
    for (log, code) in [(log(), 9), (none, 0), (String::new(), 0)] {
        let output = deputy(&["shadow", "report", "--fail-on-any"], &log);
        assert_eq!(output.status.code(), Some(code), "{log}");
    }
    assert_eq!(deputy(&["shadow", "report", "nothing.log"], "").status.code(), Some(1));
}

/// A gate before the wrong file must not open.
#[test]
fn a_shadow_report_of_something_else_is_no_success() {
    let other = "x\n".repeat(9);
    let output = deputy(&["shadow", "report", "--fail-on-any"], &other);
    let expected = "\
0 would-denials in 0 audit records; 9 other lines
error: no line holds an audit record
  help: name Envoy's log, its access log or a file of audit records
";
    assert_eq!((stderr(&output).as_str(), output.status.code()), (expected, Some(1)));
    assert_eq!(deputy(&["shadow", "report"], &other).status.code(), Some(0));
}

/// What cannot be printed is an error of usage, and no defect of the tool.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_ends_no_command_early() {
    let ends = |line: &str, stdout: bool, code: i32| {
        let [full, other] = [fs::File::create("/dev/full").unwrap().into(), Stdio::piped()];
        let (out, err) = if stdout { (full, other) } else { (other, full) };
        let output = Command::new(env!("CARGO_BIN_EXE_deputy"))
            .args(line.split(' '))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(out)
            .stderr(err)
            .output()
            .unwrap();
        let told = support::stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{line}: {told}");
        if stdout {
            assert!(told.contains("error: standard output: "), "{line}: {told}");
        }
    };
    for line in [
        "check --format json",
        "check --format json --set endpoints[0].policy=x",
        "render --json",
        "render --check --format json",
        "render --check --format json --set endpoints[0].policy=x",
        "schema",
        "completions bash",
        "explain --tool listAccounts --caller john",
        "explain --tool listAccounts --caller john --format json",
        "test --format json",
        "diff . .",
        "diff . . --format json",
        "diff . . --format markdown",
    ] {
        ends(line, true, 1);
    }
    for (line, code) in [
        ("check", 0),
        ("check --set endpoints[0].policy=x", 2),
        ("test", 0),
        ("explain --tool getCustomerPII --caller john", 4),
        ("explain --method x", 1),
    ] {
        ends(line, false, code);
    }
}

#[test]
fn a_shadow_report_of_endless_variety_ends() {
    let subjects = (0..3_000).map(|number| record(1, &number.to_string(), "wipe", true));
    let tools = (0..3_000).map(|number| record(1, "sarah", &format!("tool{number}"), true));
    let log = subjects.chain(tools).fold(String::new(), |log, record| log + &format!("{record}\n"));
    let output = deputy(&["shadow", "report", "--format", "json"], &log);
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["would_denials"], 6_000);
    assert_eq!([&report["rows"][0]["count"], &report["rows"][0]["subjects"]], [3_000, 1_000]);
    assert_eq!(report["rows"].as_array().unwrap().len(), 1_000);
    assert_eq!(report["not_listed"], 2_001);
    let table = stdout(&deputy(&["shadow", "report"], &log));
    assert!(table.contains(" 3000     1000+  "), "{}", table.lines().nth(1).unwrap());
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = deputy(&["completions", shell], "");
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(stdout(&output).contains("fail-on-any"), "{shell}");
    }
    assert_eq!(deputy(&["completions", "dos"], "").status.code(), Some(1));
}

/// The pull request that brings the first `deputy.yaml` has nothing to be compared with.
#[test]
fn the_example_pipeline_succeeds_where_there_was_no_configuration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("deploy/github-actions/policy.yaml");
    let workflow: Value = serde_yaml_ng::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let steps = workflow["jobs"]["review"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "Say what changes").unwrap();
    let directory = scratch("pipeline");
    let (project, runner) = (directory.join("project"), directory.join("runner"));
    for directory in [&project, &runner] {
        fs::create_dir(directory).unwrap();
    }
    let tools = Path::new(env!("CARGO_BIN_EXE_deputy")).parent().unwrap().to_str().unwrap();
    let run = |script: &str| {
        let output = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .current_dir(&project)
            .env("PATH", format!("{tools}:{}", std::env::var("PATH").unwrap()))
            .env("BASE", "HEAD~1")
            .env("RUNNER_TEMP", &runner)
            .env("GITHUB_STEP_SUMMARY", runner.join("summary.md"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    };
    let commit = "git add . && git -c user.name=a -c user.email=a@example.com commit -qm change";
    run(&format!("git init -q && touch README && {commit}"));
    for name in ["deputy.yaml", "policies", "keys"] {
        run(&format!("cp -r {} .", root.join(name).display()));
    }
    run(commit);
    let summary = || {
        run(step["run"].as_str().unwrap());
        run("git worktree remove --force \"$RUNNER_TEMP/base\"");
        assert_eq!(
            fs::read_to_string(runner.join("summary.md")).unwrap(),
            fs::read_to_string(runner.join("diff.md")).unwrap()
        );
        fs::remove_file(runner.join("summary.md")).unwrap();
        fs::read_to_string(runner.join("diff.md")).unwrap()
    };
    assert_eq!(summary(), "No configuration before.\n");
    run(&format!("sed -i 's/resource_name: .*/resource_name: Ledger/' deputy.yaml && {commit}"));
    assert!(summary().contains("Ledger instead of Enterprise Ledger"));
}

#[test]
fn the_example_pipeline_says_nothing_that_the_tool_does_not_understand() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/github-actions/policy.yaml");
    let workflow: Value = serde_yaml_ng::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let jobs = workflow["jobs"].as_object().unwrap().values();
    let steps = jobs.flat_map(|job| job["steps"].as_array().unwrap());
    let lines = steps.filter_map(|step| step["run"].as_str()).flat_map(str::lines);
    let mut seen = Vec::new();
    for line in lines.filter_map(|line| line.trim().strip_prefix("deputy ")) {
        let words: Vec<_> = line.split('|').next().unwrap().split_whitespace().collect();
        let output = deputy(&[words[0], "--help"], "");
        seen.push(words[0]);
        assert_eq!(output.status.code(), Some(0), "{line}");
        let help = stdout(&output);
        let option = |word: &&&str| word.starts_with("--");
        for option in words.iter().filter(option) {
            let known = help.split([' ', '\n', ',']).any(|word| word == *option);
            assert!(known, "`{line}`: `{option}` is no option");
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["check", "diff", "push", "test", "test"]);
}
