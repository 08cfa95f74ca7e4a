//! The view at several sizes, as plain text.

use ov_types::api::Status;
use ov_types::{Problem, Step};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::failure::Failure;
use crate::tests::sample;

fn model(status: Status) -> Model {
    let mut model = Model::new(status, sample::clock(), false);
    model.events.extend(sample::events());
    model
}

fn in_step(step: Step) -> Status {
    let mut status = sample::status();
    status.plans[0].phase = PlanPhase::Forward { step, attempt: 1, problem: None };
    status
}

fn drawn(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    let mut text = String::new();
    for row in terminal.backend().buffer().content().chunks(usize::from(width)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn a_node_with_an_armed_upgrade() {
    let expected = "\
alpha  generic  v1                                                            daemon 1.0.0, 3d4h
height 1234600, moved 2.3s ago, 3600 blocks/h
unit     state       process  for      runs
main     ready       4250     2h3m     1    healthy
backup   backing-off                   7    launched again in 12s
uploader parked                        9    ended 5 times within 1m, last with signal 11
─ next upgrade ─────────────────────────────────────────────────────────────────────────────────
v2 at height 1240000  armed  in 1h30m (13:30:00)  5400 blocks to go
✓stage ✓examine ·recheck ·stop ·keep ·switch ·migrate ·start ·prove ·commit
! failed to keep unit uploader up: signal 11; next: omnivisor logs uploader
─ events ───────────────────────────────────────────────────────────────────────────────────────
11:59:50 omnivisor 1.0.0 takes over the node; found running and left alone: main
11:59:50 unit main runs as process 4250 (launch 3)
11:59:50 unit main is ready
11:59:50 upgrade 3 to v2 is armed: it starts at height 1240000, in about 1h30m
11:59:50 the height stands at 1234600 for 1m30s

q leave   ? help   ↑↓ scroll   Tab units/events
";
    assert_eq!(drawn(&model(sample::status()), 96, 18), expected);
}

#[test]
fn the_smallest_terminal_shows_every_part() {
    let expected = "\
alpha  generic  v1                        daemon 1.0.0, 3d4h
height 1234600, moved 2.3s ago, 3600 blocks/h
unit     state       process  for      runs
main     ready       4250     2h3m     1    healthy
backup   backing-off                   7    launched again i
uploader parked                        9    ended 5 times wi
─ next upgrade ─────────────────────────────────────────────
v2 at height 1240000  switch
✓✓✓✓✓ ▶switch ·migrate ·start ·prove ·commit
! failed to keep unit uploader up: signal 11; next: omniviso
─ events ───────────────────────────────────────────────────
11:59:50 unit main runs as process 4250 (launch 3)
11:59:50 unit main is ready
11:59:50 upgrade 3 to v2 is armed: it starts at height 12400
11:59:50 the height stands at 1234600 for 1m30s
q leave   ? help   ↑↓ scroll   Tab units/events
";
    assert_eq!(drawn(&model(in_step(Step::Switch)), 60, 16), expected);
}

#[test]
fn a_top_line_without_room_shows_what_matters_more() {
    let mut model = model(sample::status());
    let first = |model: &Model| drawn(model, 30, 16).lines().next().unwrap().to_owned();
    assert_eq!(first(&model), "alpha  generic  v1");
    model.status.daemon.stopping = true;
    assert_eq!(first(&model), "        the daemon is stopping");
}

#[test]
fn units_that_do_not_fit_are_scrolled_and_counted() {
    let mut status = in_step(Step::Switch);
    status.units = (0..20).map(|number| sample::unit(&format!("helper-{number}"))).collect();
    let mut model = model(status);
    model.pane = Pane::Units;
    let text = drawn(&model, 80, 16);
    assert!(text.contains("helper-0") && !text.contains("helper-9"), "{text}");
    assert!(text.contains("of 20") && text.contains("─ events"), "{text}");
    model.units_down = 19;
    let text = drawn(&model, 80, 16);
    assert!(text.contains("helper-19") && text.contains("20 of 20"), "{text}");
}

#[test]
fn older_events_are_scrolled_to() {
    let mut model = model(in_step(Step::Switch));
    model.events_back = 3;
    let text = drawn(&model, 80, 16);
    assert!(text.contains("─ events, 3 newer below ─"), "{text}");
    assert!(text.contains("(launch 3)") && !text.contains("is ready\n"), "{text}");
}

#[test]
fn an_upgrade_that_is_undone_points_back_and_says_why() {
    let mut status = sample::status();
    let because = Problem::permanent("OV-X", "see the height move");
    status.plans[0].phase = PlanPhase::Backward { step: Step::Start, attempt: 2, because };
    let text = drawn(&model(status), 100, 20);
    assert!(text.contains("undoing start, attempt 2, because it failed to see the height move"), "{text}");
    assert!(text.contains("✓migrate ◀start ·prove"), "{text}");
}

#[test]
fn without_a_daemon_the_age_of_what_is_shown_is_told() {
    let mut model = model(sample::status());
    model.lost = Some(Failure::not_running(std::path::Path::new("/srv/alpha")).to_string());
    model.clock.now_ms += 90_000;
    let text = drawn(&model, 96, 20);
    assert!(text.lines().next().unwrap().ends_with("no daemon; as of 1m30s ago"), "{text}");
}

#[test]
fn help_lies_over_everything() {
    let mut model = model(sample::status());
    model.help = true;
    let text = drawn(&model, 80, 20);
    for (keys, what) in HELP {
        assert!(text.contains(keys) && text.contains(what), "{text}");
    }
}

#[test]
fn what_others_write_cannot_move_the_cursor() {
    let mut status = sample::status();
    status.node = "evil\u{1b}[2J".to_owned();
    status.units[0].says = Some("\u{1b}]0;title\u{7}".to_owned());
    let text = drawn(&model(status), 96, 20);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
}

#[test]
fn no_size_makes_drawing_panic() {
    let mut model = model(in_step(Step::Prove));
    for help in [false, true] {
        model.help = help;
        for width in [1, 2, 10, 59, 200] {
            for height in 1..30 {
                let text = drawn(&model, width, height);
                assert_eq!(text.lines().count(), usize::from(height));
            }
        }
    }
}
