//! The brain: what to do next, as total functions from state and input to state and actions.
//!
//! Two machines live here. *Supervise* keeps each unit as the rules want it (`unit`, [`fate()`]); *upgrade* carries
//! a plan through its steps or back (`upgrade`). [`Node`] composes them: it owns the [`Ledger`], which is nothing
//! but the fold of the journal's records, and what was observed since the daemon started.
//!
//! Nothing here does I/O, reads a clock, or draws a random number. An [`Action::Record`] must be durable before the
//! actions after it are carried out; recovery after any crash is the same fold, followed by [`Input::Found`].

mod fate;
mod io;
mod ledger;
mod node;
mod orders;
mod pace;
mod restate;
mod unit;
mod upgrade;

pub use fate::{Fate, fate};
pub use io::{Action, Effect, Found, Input, Order, Refused, StepCall, StepReport, UnitReport, Wish};
pub use ledger::{Entry, Failing, IllegalRecord, Ledger, Phase, UnitLedger};
pub use node::lifetime::Farewell;
pub use node::{Node, UnitView};
pub use pace::Pace;
pub use upgrade::{Verdict, steps_for, verdict};
