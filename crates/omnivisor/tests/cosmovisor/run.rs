//! `cosmovisor run`: a node of the family, halting, crashing and being asked, under the drop-in.

mod ends;
mod node;
mod plans;
mod schedule;
mod upgrades;
