//! How the live view looks: a pure function of the model and the size of the terminal.
//!
//! From top to bottom: the node, its units, the next upgrade with its steps, problems, events. What does not fit is
//! cut; the events give way first, down to three rows, then the units. Everything others wrote is made printable.

use std::fmt::Write as _;

use ov_types::api::{PlanPhase, PlanStatus, UnitStatus};
use ov_types::{Height, Step, Trigger};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row, Table};

use super::model::{Model, Pane};
use crate::output::{self, Tone, importance_tone, one_line, unit_tone};

/// Rows the events keep, whatever else there is.
const EVENT_ROWS_MIN: u16 = 4;
/// Problems that are shown; the rest is counted.
const PROBLEM_ROWS_MAX: usize = 3;

const HELP: [(&str, &str); 7] = [
    ("q, Esc, Ctrl-C", "leave; the node goes on"),
    ("↑ ↓, k j", "scroll"),
    ("PgUp PgDn", "scroll by ten"),
    ("Home End, g G", "go to the oldest, the newest"),
    ("Tab", "scroll units or events"),
    ("Ctrl-L", "ask the daemon now"),
    ("?", "show or hide this"),
];

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let plan = model.status.plans.first();
    let problems = model.status.problems.len().min(PROBLEM_ROWS_MAX);
    let fixed = 3 + if plan.is_some() { 3 } else { 1 } + rows(problems) + EVENT_ROWS_MIN;
    let room = frame.area().height.saturating_sub(fixed).max(2);
    let unit_rows = rows(model.status.units.len() + 1).min(room);
    let [top, units, upgrade, trouble, events, keys] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(unit_rows),
        Constraint::Length(if plan.is_some() { 3 } else { 1 }),
        Constraint::Length(rows(problems)),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_top(frame, top, model);
    draw_units(frame, units, model);
    draw_upgrade(frame, upgrade, model, plan);
    draw_problems(frame, trouble, model);
    draw_events(frame, events, model);
    draw_keys(frame, keys, model);
    if model.help {
        draw_help(frame, model);
    }
}

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// A tone as the terminal shows it. Without colours the weight of the letters still tells.
fn style(model: &Model, tone: Tone) -> Style {
    let (colour, modifier) = match tone {
        Tone::Plain => return Style::new(),
        Tone::Faint => (None, Modifier::DIM),
        Tone::Strong => (None, Modifier::BOLD),
        Tone::Good => (Some(Color::Green), Modifier::empty()),
        Tone::Notice => (Some(Color::Yellow), Modifier::BOLD),
        Tone::Bad => (Some(Color::Red), Modifier::BOLD),
    };
    let style = Style::new().add_modifier(modifier);
    colour.filter(|_| model.colours).map_or(style, |colour| style.fg(colour))
}

fn span(model: &Model, tone: Tone, text: &str) -> Span<'static> {
    Span::styled(one_line(text), style(model, tone))
}

/// A faint line with a name in it, above a part of the view.
fn rule(model: &Model, width: u16, name: &str, has_keys: bool) -> Line<'static> {
    let tone = if has_keys { Tone::Strong } else { Tone::Faint };
    let name = format!("─ {name} ");
    let rest = usize::from(width).saturating_sub(name.chars().count());
    Line::from(vec![span(model, tone, &name), span(model, Tone::Faint, &"─".repeat(rest))])
}

fn draw_top(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let status = &model.status;
    let release = status.release.as_ref().map_or("no release", |release| release.as_str());
    let left = Line::from(vec![
        span(model, Tone::Strong, &status.node),
        span(model, Tone::Faint, &format!("  {}  ", status.chain)),
        span(model, Tone::Strong, release),
    ]);
    let right = daemon_line(model);
    let has_room = left.width() + 2 + right.width() <= usize::from(area.width);
    let is_calm = model.stale_ms().is_none() && !status.daemon.stopping;
    if has_room || is_calm {
        frame.render_widget(Paragraph::new(left), area);
    }
    if has_room || !is_calm {
        frame.render_widget(Paragraph::new(right).alignment(Alignment::Right), area);
    }
    let second = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let height = format!("height {}", output::height(status));
    frame.render_widget(Paragraph::new(Line::from(span(model, Tone::Plain, &height))), second);
}

fn daemon_line(model: &Model) -> Line<'static> {
    if let Some(age) = model.stale_ms() {
        return Line::from(span(model, Tone::Bad, &format!("no daemon; as of {} ago", output::span(age))));
    }
    let daemon = &model.status.daemon;
    if daemon.stopping {
        return Line::from(span(model, Tone::Notice, "the daemon is stopping"));
    }
    let age = model.clock.now_ms.saturating_sub(daemon.since_ms).max(0).unsigned_abs();
    let text = format!("daemon {}, {}", daemon.version, output::span(age));
    Line::from(span(model, Tone::Faint, &text))
}

fn draw_units(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let shown = usize::from(area.height.saturating_sub(1));
    let first = model.units_down.min(model.status.units.len().saturating_sub(shown));
    let names = model.status.units.iter().map(|unit| unit.name.as_str().len()).max().unwrap_or_default();
    let widths = [
        Constraint::Length(rows(names.clamp(4, 20))),
        Constraint::Length(11),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(4),
        Constraint::Min(10),
    ];
    let units = model.status.units.iter().skip(first).take(shown).map(|unit| unit_row(model, unit));
    let more = first + shown < model.status.units.len() || first > 0;
    let note = if more { format!("{} of {}", first + shown, model.status.units.len()) } else { String::new() };
    let tone = if model.pane == Pane::Units { Tone::Strong } else { Tone::Faint };
    let heading = ["unit", "state", "process", "for", "runs", &note].map(|name| span(model, tone, name));
    frame.render_widget(Table::new(units, widths).header(Row::new(heading)), area);
}

fn unit_row(model: &Model, unit: &UnitStatus) -> Row<'static> {
    let mut note = Vec::new();
    match unit.healthy {
        Some(false) => note.push(span(model, Tone::Bad, "not healthy ")),
        Some(true) => note.push(span(model, Tone::Good, "healthy ")),
        None => {}
    }
    note.push(span(model, Tone::Plain, &output::unit_note(unit)));
    Row::new([
        Line::from(span(model, Tone::Strong, unit.name.as_str())),
        Line::from(span(model, unit_tone(unit.state), &unit.state.to_string())),
        Line::from(unit.pid.map(|pid| pid.to_string()).unwrap_or_default()),
        Line::from(output::uptime(unit, &model.clock)),
        Line::from(unit.launches.to_string()),
        Line::from(note),
    ])
}

fn draw_upgrade(frame: &mut Frame<'_>, area: Rect, model: &Model, plan: Option<&PlanStatus>) {
    let Some(status) = plan else {
        frame.render_widget(rule(model, area.width, "nothing is planned", false), area);
        return;
    };
    let more = model.status.plans.len() - 1;
    let name = if more > 0 { format!("next upgrade, {more} more planned") } else { "next upgrade".to_owned() };
    let (tone, phase) = output::plan_phase(status, &model.clock);
    let mut line = vec![
        span(model, Tone::Strong, status.plan.release.as_str()),
        span(model, Tone::Plain, &format!(" at {}  ", output::trigger(&status.plan.trigger, &model.clock))),
        span(model, tone, &phase),
    ];
    if matches!(status.phase, PlanPhase::Armed | PlanPhase::Queued) {
        line.push(span(model, Tone::Plain, &distance(model, status)));
    }
    let lines = vec![rule(model, area.width, &name, false), Line::from(line), ribbon(model, status, area.width)];
    frame.render_widget(Paragraph::new(lines), area);
}

/// How far away a plan's trigger is: in time and in blocks, as far as that is known.
fn distance(model: &Model, status: &PlanStatus) -> String {
    let mut text = String::new();
    let expected = output::expected(status, &model.clock);
    if !expected.is_empty() {
        let _ = write!(text, "  {expected}");
    }
    let target = match status.plan.trigger {
        Trigger::Height { height } | Trigger::AwaitHalt { height } => Some(height),
        _ => None,
    };
    if let (Some(Height(target)), Some(Height(now))) = (target, model.status.height) {
        let _ = write!(text, "  {} blocks to go", target.saturating_sub(now));
    }
    text
}

/// The steps with their marks; in a narrow terminal those that are done are only their marks.
fn ribbon(model: &Model, status: &PlanStatus, width: u16) -> Line<'static> {
    let steps = output::step_ribbon(status);
    let back = matches!(status.phase, PlanPhase::Backward { .. });
    let full: usize = steps.iter().map(|(step, _)| step.name().len() + 2).sum();
    let is_narrow = full > usize::from(width);
    let mut spans = Vec::new();
    let first_named = steps.iter().position(|(_, tone)| *tone != Tone::Good);
    for (index, (step, tone)) in steps.into_iter().enumerate() {
        if is_narrow && first_named == Some(index) && index > 0 {
            spans.push(Span::raw(" "));
        }
        let (mark, name) = match tone {
            Tone::Good if is_narrow => ("✓", ""),
            Tone::Good => ("✓", Step::name(step)),
            Tone::Notice => ("▶", Step::name(step)),
            Tone::Bad if back => ("◀", Step::name(step)),
            Tone::Bad => ("✗", Step::name(step)),
            _ => ("·", Step::name(step)),
        };
        spans.push(span(model, tone, &format!("{mark}{name}")));
        spans.push(Span::raw(if name.is_empty() { "" } else { " " }));
    }
    Line::from(spans)
}

fn draw_problems(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let problems = &model.status.problems;
    let mut lines: Vec<Line<'static>> = Vec::new();
    for problem in problems.iter().take(PROBLEM_ROWS_MAX) {
        let next = if problem.hint.is_empty() { String::new() } else { format!("; next: {}", problem.hint) };
        lines.push(Line::from(span(model, Tone::Bad, &format!("! failed to {problem}{next}"))));
    }
    if let (true, Some(last)) = (problems.len() > PROBLEM_ROWS_MAX, lines.last_mut()) {
        let more = problems.len() + 1 - PROBLEM_ROWS_MAX;
        *last = Line::from(span(model, Tone::Bad, &format!("! and {more} more: omnivisor status")));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_events(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let name =
        if model.events_back > 0 { format!("events, {} newer below", model.events_back) } else { "events".to_owned() };
    let mut lines = vec![rule(model, area.width, &name, model.pane == Pane::Events)];
    let shown = usize::from(area.height.saturating_sub(1));
    let end = model.events.len().saturating_sub(model.events_back);
    let start = end.saturating_sub(shown);
    for event in model.events.range(start..end.max(start)) {
        lines.push(Line::from(vec![
            span(model, Tone::Faint, &format!("{} ", model.clock.short(event.at_ms))),
            span(model, importance_tone(event.kind.importance()), &event.kind.to_string()),
        ]));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let keys = match &model.progress {
        Some(progress) => span(model, Tone::Notice, &progress.to_string()),
        None => span(model, Tone::Faint, "q leave   ? help   ↑↓ scroll   Tab units/events"),
    };
    frame.render_widget(Paragraph::new(Line::from(keys)), area);
}

fn draw_help(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let (width, height) = (48.min(area.width), (rows(HELP.len()) + 2).min(area.height));
    let area = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    let line = |(keys, what): &(&str, &str)| {
        Line::from(vec![span(model, Tone::Strong, &format!(" {keys:<15}")), span(model, Tone::Plain, what)])
    };
    let lines: Vec<Line<'static>> = HELP.iter().map(line).collect();
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys ")), area);
}

#[cfg(test)]
mod tests;
