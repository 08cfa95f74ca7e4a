//! Places where the program can be told to kill itself, so that tests can prove it survives that.
//!
//! With `OMNIVISOR_CRASH_AT=<name>` the process ends by SIGKILL the first time it reaches that point, with
//! `<name>#<n>` the n-th time. The variable is read once; unset, a point costs one comparison. The names
//! belong to the modules that have the points. Must never be reached for any other purpose.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// The environment variable that names the point.
pub const VARIABLE: &str = "OMNIVISOR_CRASH_AT";

/// Where to die.
#[derive(Debug)]
struct Target {
    name: String,
    visits_left: AtomicU64,
}

static TARGET: OnceLock<Option<Target>> = OnceLock::new();

/// Marks a crash point. Does not return when this is the one the process was told to die at.
pub fn reach(point: &str) {
    let target = TARGET.get_or_init(|| std::env::var(VARIABLE).ok().and_then(|text| Target::parse(&text)));
    if let Some(target) = target
        && target.is_due(point)
    {
        die();
    }
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        let (name, visit) = match text.split_once('#') {
            Some((name, visit)) => (name, visit.parse().ok()?),
            None => (text, 1),
        };
        (!name.is_empty() && visit > 0).then(|| Self { name: name.to_owned(), visits_left: AtomicU64::new(visit) })
    }

    /// Counts a visit; true exactly once, at the visit asked for.
    fn is_due(&self, point: &str) -> bool {
        self.name == point && self.visits_left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// Makes the enum of a module's crash points: `ALL` of them, each with its `name` for the environment variable, and
/// `reach` to mark the place.
#[macro_export]
macro_rules! crash_points {
    ($(#[$about:meta])* $visibility:vis enum $points:ident {
        $($(#[$place:meta])* $point:ident = $name:literal,)+
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $points {
            $($(#[$place])* $point,)+
        }

        impl $points {
            /// All of them.
            pub const ALL: [$points; [$($name),+].len()] = [$($points::$point),+];

            /// The name to put into `OMNIVISOR_CRASH_AT`.
            pub fn name(self) -> &'static str {
                match self {
                    $($points::$point => $name,)+
                }
            }

            pub(crate) fn reach(self) {
                $crate::crash_point::reach(self.name());
            }
        }
    };
}

fn die() -> ! {
    // SIGKILL to oneself is delivered before the call returns; the abort is for a kernel that refuses.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_visit_asked_for_is_due() {
        let target = Target::parse("switch.linked#3").unwrap();
        let due: Vec<_> = ["switch.linked", "other", "switch.linked", "switch.linked", "switch.linked"]
            .map(|point| target.is_due(point))
            .to_vec();
        assert_eq!(due, [false, false, false, true, false]);
    }

    #[test]
    fn without_a_number_the_first_visit_is_meant() {
        assert!(Target::parse("a").unwrap().is_due("a"));
        assert!(!Target::parse("a").unwrap().is_due("ab"));
    }

    #[test]
    fn nonsense_names_no_point() {
        for text in ["", "#1", "a#", "a#0", "a#x"] {
            assert!(Target::parse(text).is_none(), "{text}");
        }
    }
}
