//! The order of the units: who waits for whom, that nobody waits for ever, and that there is time to stop them all.

use std::collections::BTreeMap;

use ov_types::{Span, UnitName};

use super::Builder;
use crate::generic::file::{File, Unit};
use crate::generic::problem::Key;
use crate::words;

type Units<'f> = BTreeMap<UnitName, &'f Unit>;

/// Whom a unit waits for, with the key that says so.
fn waits_for(unit: &Unit) -> impl Iterator<Item = (&'static str, &String)> {
    unit.after.keys().map(|other| ("after", other)).chain(unit.with.keys().map(|other| ("with", other)))
}

impl Builder<'_, '_> {
    pub(super) fn check_order(&mut self, units: &Units<'_>, file: &File) {
        let names: Vec<&str> = units.keys().map(UnitName::as_str).collect();
        for (name, unit) in units {
            for (list, other) in waits_for(unit) {
                let key = Key::of("unit").name(name.as_str()).name(list).name(other);
                if other == name.as_str() {
                    self.document.tell(&key, "a unit cannot wait for itself");
                } else if !names.contains(&other.as_str()) {
                    let nearest = words::nearest(other, names.iter().copied());
                    let hint = nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                    self.document.tell(&key, format!("there is no unit `{other}`{hint}"));
                } else if list == "with" && unit.after.contains_key(other) {
                    self.document.tell(&key, "`with` includes `after`: name the unit in one of them");
                }
            }
        }
        self.check_groups(units);
        match longest_first(units) {
            Ok(stop_ms) if stop_ms >= file.upgrade.stop_within.ms() => {
                let message = format!(
                    "{} is too short: the units that wait for each other may take {} to stop, their graces added up",
                    file.upgrade.stop_within,
                    Span::from_ms(stop_ms)
                );
                self.document.tell(&Key::of("upgrade.stop-within"), message);
            }
            Ok(_) => {}
            Err(circle) => {
                let others = circle.iter().skip(1).chain(circle.first());
                let round: Vec<String> = others.map(|name| format!("waits for `{name}`")).collect();
                let key = circle.first().map_or(Key::of("unit"), |first| Key::of("unit").name(first.as_str()));
                self.document.tell(&key, format!("this can never start: it {}", round.join(", which ")));
            }
        }
    }
}

impl Builder<'_, '_> {
    /// A group of one is a word that somebody mistyped.
    fn check_groups(&mut self, units: &Units<'_>) {
        let words = || units.values().filter_map(|unit| unit.together.as_deref());
        for (name, unit) in units {
            let Some(word) = unit.together.as_deref() else { continue };
            if words().filter(|other| *other == word).count() == 1 {
                let nearest = words::nearest(word, words().filter(|other| *other != word));
                let hint = nearest.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let key = Key::of("unit").name(name.as_str()).name("together");
                self.document.tell(&key, format!("no other unit says `{word}`{hint}"));
            }
        }
    }
}

/// How long it may take to stop all units one after the other, or a circle of units that wait for each other.
fn longest_first(units: &Units<'_>) -> Result<u64, Vec<UnitName>> {
    let mut known: BTreeMap<&UnitName, u64> = BTreeMap::new();
    // Each round settles those whose predecessors are settled; a round without progress means a circle.
    while known.len() < units.len() {
        let before = known.len();
        for (name, unit) in units {
            let others = others(units, name, unit);
            let settled: Option<Vec<u64>> = others.iter().map(|other| known.get(other).copied()).collect();
            if let Some(settled) = settled {
                let longest = settled.into_iter().max().unwrap_or_default();
                known.insert(name, longest.saturating_add(unit.stop.grace.ms()));
            }
        }
        if known.len() == before {
            return Err(circle(units, &known));
        }
    }
    Ok(known.into_values().max().unwrap_or_default())
}

/// The other known units that a unit waits for.
fn others<'u>(units: &'u Units<'_>, name: &UnitName, unit: &Unit) -> Vec<&'u UnitName> {
    let wanted: Vec<&String> = waits_for(unit).map(|(_, other)| other).collect();
    units.keys().filter(|other| *other != name && wanted.iter().any(|wanted| *wanted == other.as_str())).collect()
}

/// Follows unsettled units until one comes up again: that one is on a circle.
fn circle(units: &Units<'_>, settled: &BTreeMap<&UnitName, u64>) -> Vec<UnitName> {
    let mut path: Vec<&UnitName> = Vec::new();
    let mut next = units.keys().find(|name| !settled.contains_key(name));
    while let Some(name) = next {
        if let Some(start) = path.iter().position(|earlier| *earlier == name) {
            return path[start..].iter().map(|name| (*name).clone()).collect();
        }
        path.push(name);
        let unit = units.get(name);
        next = unit.and_then(|unit| others(units, name, unit).into_iter().find(|other| !settled.contains_key(other)));
    }
    path.into_iter().cloned().collect()
}
