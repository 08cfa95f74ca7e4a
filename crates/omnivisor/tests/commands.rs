//! Every command of the real program against a daemon that answers from a script: what it asks, what it prints, and
//! how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../src/tests/data.rs"]
#[allow(dead_code, reason = "shared with the tests inside the program, which use more of it")]
mod data;
mod support;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use ov_types::api::{
    Acknowledged, DoctorReport, HistoryEntry, PlanPhase, PlanStatus, Refusal, ReleaseStatus, ReloadReport,
    SnapshotReport, SnapshotStatus, Status, UnitStatus,
};
use ov_types::record::Outcome;
use ov_types::{
    Event, EventKind, Finding, Moment, PlanId, Problem, Record, RunId, Severity, SnapshotId, UnitName, UnitState,
};
use support::{Ended, FakeDaemon, program, run_in};

fn acknowledged(message: &str) -> Acknowledged {
    Acknowledged { message: message.to_owned(), plan: Some(PlanId(3)), snapshot: None }
}

/// The only request, as `method path | body`.
fn only_request(daemon: &FakeDaemon) -> String {
    let asked = daemon.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    format!("{} | {}", asked[0].line, asked[0].body)
}

#[test]
fn commands_ask_for_what_they_say_and_show_the_answer() {
    let digest = "ab".repeat(32);
    let body = |rest: &str| format!("{{\"release\":\"v2\",\"trigger\":{rest}");
    let none = ",\"on_failure\":null,\"source\":null,\"sha256\":null,\"keep\":null,\"replaces\":null}";
    let add = "POST /v1/plans | ";
    for (line, expected) in [
        ("plan cancel 3", "DELETE /v1/plans/3 | ".to_owned()),
        ("plan add --release v2 --now", add.to_owned() + &body("{\"at\":\"now\"}") + none),
        ("plan add --release v2 --height 9", add.to_owned() + &body("{\"at\":\"height\",\"height\":9}") + none),
        (
            "plan add --release v2 --time 2026-11-20T12:00:00Z",
            add.to_owned() + &body("{\"at\":\"time\",\"wall_ms\":1795176000000}") + none,
        ),
        (
            &format!("plan replace 7 --release v2 --now --from /x/y --sha256 {digest} --on-failure hold --no-keep"),
            add.to_owned()
                + &body("{\"at\":\"now\"}")
                + &format!(",\"on_failure\":\"hold\",\"source\":\"/x/y\",\"sha256\":\"{digest}\"")
                + ",\"keep\":false,\"replaces\":7}",
        ),
        ("upgrade apply 3", "POST /v1/plans/3/apply | ".to_owned()),
        ("upgrade retry 3", "POST /v1/plans/3/retry | ".to_owned()),
        ("upgrade rollback", "POST /v1/upgrade/rollback | ".to_owned()),
        ("upgrade rollback 3", "POST /v1/upgrade/rollback?plan=3 | ".to_owned()),
        ("release remove v1", "DELETE /v1/releases/v1 | ".to_owned()),
        ("unit stop main", "POST /v1/units/main/stop | ".to_owned()),
        ("unit start main", "POST /v1/units/main/start | ".to_owned()),
        ("unit restart main", "POST /v1/units/main/restart | ".to_owned()),
        ("unit suspend main", "POST /v1/units/main/suspend | ".to_owned()),
        ("unit resume main", "POST /v1/units/main/resume | ".to_owned()),
        ("snapshot create --reason why", "POST /v1/snapshots | {\"reason\":\"why\"}".to_owned()),
        ("snapshot restore s1 --confirm alpha", "POST /v1/snapshots/s1/restore | {\"confirm\":\"alpha\"}".to_owned()),
        ("snapshot remove s1", "DELETE /v1/snapshots/s1 | ".to_owned()),
        ("stop --no-wait --leave-units", "POST /v1/stop?units_stay=true | ".to_owned()),
    ] {
        let daemon = FakeDaemon::start();
        let (request, _) = expected.split_once(" | ").unwrap();
        daemon.on(request, 200, &acknowledged("it is done"));
        let words: Vec<&str> = line.split(' ').collect();
        let ended = daemon.run(&words);
        assert_eq!((ended.code, ended.out.as_str()), (0, "it is done\n"), "{line}: {ended:?}");
        assert_eq!(only_request(&daemon), expected, "{line}");
        let ended = daemon.run(&[words.as_slice(), &["--json", "--quiet"]].concat());
        let read: Acknowledged = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!((read.plan, ended.err.as_str()), (Some(PlanId(3)), ""), "{line}");
    }
}

#[test]
fn lists_and_reports_are_tables_for_people_and_json_for_programs() {
    let snapshot = SnapshotId::new("s1").unwrap();
    let record = Record::Armed { at: Moment { monotonic_ms: 0, wall_ms: data::NOON_MS }, plan: PlanId(3) };
    let plans = vec![data::plan()];
    let finding = Finding::ok("host.clock", "host", "in step");
    check("status", "GET /v1/status", &data::status(), "node     alpha (generic)");
    check("plan list", "GET /v1/plans?all=false", &plans, "PLAN  RELEASE");
    check("plan list --all", "GET /v1/plans?all=true", &plans, "PLAN  RELEASE");
    check("release list", "GET /v1/releases", &Vec::<ReleaseStatus>::new(), "");
    check("snapshot list", "GET /v1/snapshots", &Vec::<SnapshotStatus>::new(), "");
    let history = vec![HistoryEntry { sequence: 9, record }];
    check("upgrade history 3 --since 8", "GET /v1/history?plan=3&since=8", &history, "NUMBER  TIME");
    let report = SnapshotReport { id: snapshot, problems: Vec::new(), files: 3 };
    check("snapshot verify s1", "POST /v1/snapshots/s1/verify", &report, "snapshot s1: 3 files, as it was taken\n");
    let report = DoctorReport { worst: Severity::Ok, findings: vec![finding] };
    check("doctor --release v2", "GET /v1/doctor?release=v2", &report, "ok      host.clock");
    let report = ReloadReport { now: vec!["keep".to_owned()], next_start: Vec::new() };
    check("reload", "POST /v1/reload", &report, "in force now: keep\n");
}

fn check<T>(line: &str, request: &str, answer: &T, human: &str)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let daemon = FakeDaemon::start();
    daemon.on(request, 200, answer);
    let words: Vec<&str> = line.split(' ').collect();
    let ended = daemon.run(&words);
    assert_eq!(ended.code, 0, "{line}: {ended:?}");
    assert!(ended.out.starts_with(human), "{line}: {ended:?}");
    assert_eq!(only_request(&daemon), format!("{request} | "), "{line}");
    let ended = daemon.run(&[words.as_slice(), &["--json"]].concat());
    assert_eq!(&serde_json::from_str::<T>(&ended.out).unwrap(), answer, "{line}");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let daemon = FakeDaemon::start();
    daemon.on("GET /v1/status", 200, &data::status());
    assert!(!daemon.run(&["status"]).out.contains('\u{1b}'));
    assert!(daemon.run(&["status", "--color", "always"]).out.contains('\u{1b}'));
}

#[test]
fn a_refusal_is_told_whole_and_ends_with_its_code() {
    let daemon = FakeDaemon::start();
    let problem =
        Problem::permanent("OV-UPG-012", "add the plan").cause("v2 is not staged").state("nothing was changed");
    let refusal = Refusal { problem, exit_code: 7 };
    daemon.on("DELETE /v1/plans/3", 409, &refusal);
    let Ended { code, out, err } = daemon.run(&["plan", "cancel", "3"]);
    assert_eq!((code, out.as_str()), (7, ""));
    for part in ["error: failed to add the plan\n", "v2 is not staged", "state:   nothing was changed", "OV-UPG-012"] {
        assert!(err.contains(part), "{part} is missing in {err}");
    }
    let ended = daemon.run(&["plan", "cancel", "3", "--json"]);
    assert_eq!(serde_json::from_str::<Refusal>(&ended.err).unwrap(), refusal);
}

#[test]
fn without_a_daemon_or_a_node_it_is_told_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let ended = run_in(home.path(), &["status"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("omnivisor init"), "{ended:?}");
    std::fs::write(home.path().join("omnivisor.toml"), "").unwrap();
    let ended = run_in(home.path(), &["plan", "list"]);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.err.contains("omnivisor run --home"), "{ended:?}");
}

#[test]
fn wrong_command_lines_end_with_the_code_for_them() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["frobnicate"], &["plan", "add", "--release", "v2"], &["unit", "stop", "a/b"]] {
        let ended = run_in(home.path(), arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!ended.err.is_empty(), "{arguments:?}");
    }
    for (arguments, cause) in [
        (&["--json"][..], "'omnivisor' requires a subcommand"),
        (&["status", "--bogus", "--json"], "unexpected argument '--bogus' found"),
        (&["plan", "cancel", "three", "--json"], "invalid value 'three'"),
    ] {
        let ended = run_in(home.path(), arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}");
        let refusal: Refusal = serde_json::from_str(&ended.err).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
        assert_eq!((refusal.exit_code, refusal.problem.code.as_str()), (2, "OV-CLI-001"), "{arguments:?}");
        assert!(refusal.problem.causes[0].starts_with(cause), "{:?}", refusal.problem);
    }
    for arguments in [&["--help"][..], &["plan", "add", "--help"], &["--version"]] {
        let ended = run_in(home.path(), arguments);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn words_of_other_tools_are_answered_with_those_of_this_one() {
    let home = tempfile::tempdir().unwrap();
    for (line, tip) in [
        ("start", "omnivisor unit start main"),
        ("ps", "omnivisor status"),
        ("plan rm 3", "cancel"),
        ("logs --tail 5", "--lines COUNT"),
        ("status --watch", "omnivisor watch"),
        ("stauts", "'status'"),
    ] {
        let ended = run_in(home.path(), &line.split(' ').collect::<Vec<_>>());
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{line}: {ended:?}");
        assert_eq!(ended.err.matches("tip: ").count(), 1, "{line}: {ended:?}");
        assert!(ended.err.contains(tip), "{line}: {ended:?}");
    }
    assert_eq!(run_in(home.path(), &["help"]).out, run_in(home.path(), &["--help"]).out);
    assert_eq!(run_in(home.path(), &["help", "plan", "add"]).out, run_in(home.path(), &["plan", "add", "--help"]).out);
}

#[test]
fn findings_and_broken_snapshots_end_with_a_code_that_scripts_see() {
    let daemon = FakeDaemon::start();
    let findings = vec![Finding::error("binary.glibc", "v2", "too new", "build it elsewhere")];
    daemon.on("GET /v1/doctor", 200, &DoctorReport { worst: Severity::Error, findings });
    let ended = daemon.run(&["doctor"]);
    assert_eq!((ended.code, ended.err.as_str()), (6, ""), "{ended:?}");
    let id = SnapshotId::new("s1").unwrap();
    let report = SnapshotReport { id, problems: vec!["a differs".to_owned()], files: 3 };
    daemon.on("POST /v1/snapshots/s1/verify", 200, &report);
    assert_eq!(daemon.run(&["snapshot", "verify", "s1"]).code, 1);
}

#[test]
fn a_restore_without_a_person_wants_the_name() {
    let daemon = FakeDaemon::start();
    let ended = daemon.run(&["snapshot", "restore", "s1"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("--confirm NODE"), "{ended:?}");
    assert!(daemon.asked().is_empty());
}

#[test]
fn preparing_stages_and_then_examines() {
    let daemon = FakeDaemon::start();
    daemon.on("POST /v1/releases", 200, &acknowledged("release v2 is staged"));
    daemon.on("GET /v1/doctor?release=v2", 200, &DoctorReport { worst: Severity::Ok, findings: Vec::new() });
    let ended = daemon.run(&["upgrade", "prepare", "v2", "--from", "node-v2"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let asked = daemon.asked();
    assert_eq!(asked.len(), 2);
    let source = daemon.home().canonicalize().unwrap().join("node-v2");
    assert_eq!(asked[0].body, format!("{{\"name\":\"v2\",\"source\":{source:?},\"sha256\":null}}"));
}

fn plan_in(phase: PlanPhase) -> Vec<PlanStatus> {
    vec![PlanStatus { phase, ..data::plan() }]
}

#[test]
fn waiting_for_an_upgrade_tells_how_it_goes_and_how_it_ended() {
    let because = || Problem::permanent("OV-UPG-020", "see the height move");
    let ended = |outcome| PlanPhase::Ended { outcome, because: None };
    for (line, request, phase, code) in [
        ("plan add --release v2 --now --wait", "POST /v1/plans", ended(Outcome::Committed), 0),
        ("upgrade apply 3 --wait", "POST /v1/plans/3/apply", ended(Outcome::RolledBack), 1),
        ("upgrade retry 3 --wait=1m", "POST /v1/plans/3/retry", PlanPhase::NeedsOperator { because: because() }, 8),
        ("upgrade rollback --wait", "POST /v1/upgrade/rollback", ended(Outcome::RolledBack), 0),
    ] {
        let daemon = FakeDaemon::start();
        daemon.on(request, 200, &acknowledged("it is ordered"));
        daemon.on("GET /v1/plans?all=true", 200, &plan_in(PlanPhase::Armed));
        daemon.on("GET /v1/plans?all=true", 200, &plan_in(phase));
        let kind =
            EventKind::UpgradeStarted { plan: PlanId(3), release: data::release("v2"), height: None, superseded: None };
        daemon.events(vec![Event { index: 1, at_ms: data::NOON_MS, kind }]);
        // The stream stops here; what else happened up to the end is asked for.
        let kind = EventKind::UpgradeTurnedBack { plan: PlanId(3), problem: because() };
        daemon.on("GET /v1/events?since=1", 200, &[Event { index: 2, at_ms: data::NOON_MS, kind }]);
        let words: Vec<&str> = line.split(' ').collect();
        let run = daemon.run(&words);
        assert_eq!(run.code, code, "{line}: {run:?}");
        assert!(run.err.ends_with("upgrade 3 turns back: failed to see the height move\n"), "{line}: {run:?}");
        assert!(run.out.starts_with("plan 3 to v2: ") && run.out.lines().count() == 1, "{line}: {run:?}");
        assert!(run.err.starts_with("it is ordered\n"), "{line}: {run:?}");
        assert!(run.err.contains("upgrade 3 to v2 starts"), "{line}: {run:?}");
    }
}

#[test]
fn a_wait_has_its_bound() {
    let daemon = FakeDaemon::start();
    daemon.on("POST /v1/plans/3/apply", 200, &acknowledged("it is ordered"));
    daemon.on("GET /v1/plans?all=true", 200, &plan_in(PlanPhase::Armed));
    let ended = daemon.run(&["upgrade", "apply", "3", "--wait=200ms"]);
    assert_eq!((ended.code, ended.out.as_str()), (10, ""), "{ended:?}");
    assert!(ended.err.contains("it goes on"), "{ended:?}");
}

fn status_with(unit: UnitStatus) -> Status {
    Status { units: vec![unit], ..data::status() }
}

#[test]
fn waiting_for_a_unit_ends_when_it_is_as_wanted() {
    let daemon = FakeDaemon::start();
    let run = |run, state| UnitStatus { run: Some(RunId(run)), state, ..data::unit("main") };
    daemon.on("POST /v1/units/main/restart", 200, &acknowledged("unit main is restarted"));
    for (number, state) in
        [(3, UnitState::Ready), (3, UnitState::Stopping), (4, UnitState::Starting), (4, UnitState::Up)]
    {
        daemon.on("GET /v1/status", 200, &status_with(run(number, state)));
    }
    let ended = daemon.run(&["unit", "restart", "main", "--wait"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "unit main is up, process 4250\n"), "{ended:?}");
    let ended = daemon.run(&["unit", "restart", "sidecar", "--wait"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("the node has: main"), "{ended:?}");
}

#[test]
fn self_upgrade_returns_when_the_next_daemon_answers() {
    let daemon = FakeDaemon::start();
    let mut next = data::status();
    daemon.on("GET /v1/status", 200, &next).on("GET /v1/status", 200, &next);
    next.daemon.since_ms += 1;
    next.daemon.version = "1.1.0".to_owned();
    daemon.on("GET /v1/status", 200, &next);
    daemon.on("POST /v1/self-upgrade", 200, &acknowledged("the new program takes over"));
    let ended = daemon.run(&["self-upgrade", "/opt/omnivisor"]);
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (0, "omnivisor 1.1.0 took over as process 4242; it was 1.0.0\n"),
        "{ended:?}"
    );
    assert!(daemon.asked().iter().any(|asked| asked.body == "{\"program\":\"/opt/omnivisor\"}"));
}

#[test]
fn stop_returns_when_nobody_answers_any_more() {
    let daemon = FakeDaemon::start();
    daemon.on("POST /v1/stop?units_stay=false", 200, &acknowledged("the node stops"));
    daemon.on("GET /v1/status", 200, &data::status());
    let mut child = program(daemon.home(), &["stop", "--within", "30s"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(talk.next().unwrap().unwrap(), "the node stops");
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    daemon.vanish();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.out.as_str()), (0, "the daemon has ended; so have the units\n"), "{ended:?}");
}

#[test]
fn events_are_shown_from_where_one_wants_and_followed() {
    let daemon = FakeDaemon::start();
    daemon.on("GET /v1/events?since=0", 200, &data::events());
    daemon.on("GET /v1/events?since=3", 200, &data::events()[3..].to_vec());
    assert_eq!(daemon.run(&["events"]).out.lines().count(), 5);
    assert_eq!(daemon.run(&["events", "-n", "2"]).out.lines().count(), 2);
    let json = daemon.run(&["events", "--since", "3", "--json"]).out;
    let read: Vec<Event> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, data::events()[3..]);

    let kind = EventKind::UnitReady { unit: UnitName::new("later").unwrap() };
    daemon.events(vec![Event { index: 6, at_ms: data::NOON_MS, kind }]);
    let mut child = program(daemon.home(), &["events", "-f", "-n", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("the height stands"));
    assert!(lines.next().unwrap().unwrap().contains("unit later is ready"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn watch_into_a_pipe_tells_changes_line_by_line() {
    let daemon = FakeDaemon::start();
    daemon.on("GET /v1/status", 200, &data::status());
    let mut child = program(daemon.home(), &["watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("alpha at v1, height 1234600, main ready"), "{first}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let daemon = FakeDaemon::start();
    let events: Vec<Event> = data::events().into_iter().cycle().take(20_000).collect();
    daemon.on("GET /v1/events?since=0", 200, &events);
    let mut child = program(daemon.home(), &["events"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    drop(reader);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
}

#[test]
fn whoever_follows_ends_with_the_reader_though_nothing_happens() {
    let daemon = FakeDaemon::start();
    daemon.on("GET /v1/status", 200, &data::status()).on("GET /v1/events?since=0", 200, &data::events());
    std::fs::write(daemon.home().join("omnivisor.toml"), "[unit.main]\nprogram = \"/bin/true\"\n").unwrap();
    std::fs::create_dir(daemon.home().join(".omnivisor/logs")).unwrap();
    std::fs::write(daemon.home().join(".omnivisor/logs/main.log"), "one line\n").unwrap();
    for words in [&["events", "--follow"][..], &["watch"], &["logs", "--follow"]] {
        let mut child = program(daemon.home(), words).stdout(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        drop(reader);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{words:?}");
    }
}
