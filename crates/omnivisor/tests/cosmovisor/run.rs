//! `cosmovisor run`: a node of the family, halting, crashing and being asked, under the drop-in.

mod backups;
mod downloads;
mod ends;
mod governance;
mod hooks;
mod node;
mod plans;
mod releases;
mod schedule;
mod upgrades;
mod validator;
mod wrong_release;
