//! How results look: words in colours, times, sizes, tables. Pure: values in, text out.
//!
//! Only [`console`] and [`meter`] touch the terminal. Text made here has no box drawing and, with colours off, no escapes, so that
//! it can be piped anywhere.

pub(crate) mod console;
mod meter;
mod number;
mod report;
mod status;
mod style;
mod table;
mod upgrade;
mod wrap;

pub(crate) use console::Console;
pub(crate) use meter::Meter;
pub(crate) use number::{Clock, one_line, printable, size, span};
pub(crate) use report::{doctor, event, reasons, release, release_list, snapshot_list};
pub(crate) use status::{expected, height, plan_list, status, summary_line, trigger, unit_note, uptime};
pub(crate) use style::{Style, Tone, importance_tone, unit_tone};
pub(crate) use upgrade::{history, plan_phase, step_ribbon};
pub(crate) use wrap::{hanging, wrap};

/// What a view has to know besides its data.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// Whether to use colours.
    pub(crate) style: Style,
    /// How wide the terminal is; elsewhere lines are as long as they are.
    pub(crate) columns: Option<usize>,
    /// The time it is, and how times are written.
    pub(crate) clock: Clock,
}

#[cfg(test)]
mod tests;
