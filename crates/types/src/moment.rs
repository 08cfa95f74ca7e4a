//! A reading of both clocks.

use serde::{Deserialize, Serialize};

/// A reading of both clocks. Waits and ages are measured on the monotonic one, which counts while the machine
/// sleeps and which nobody can set; people and files get the wall clock's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Moment {
    /// Milliseconds since the machine was booted.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970 in UTC.
    pub wall_ms: i64,
}

impl Moment {
    /// Milliseconds that passed since `earlier`; zero if it lies in the future.
    pub fn since_ms(self, earlier: Moment) -> u64 {
        self.monotonic_ms.saturating_sub(earlier.monotonic_ms)
    }
}

/// A time in milliseconds since 1970 as people and programs read it: `2026-11-20T06:15:00Z`.
pub fn utc(wall_ms: i64) -> String {
    let (days, rest) = (wall_ms.div_euclid(86_400_000), wall_ms.rem_euclid(86_400_000) / 1_000);
    let (year, month, day) = civil(days);
    let (hours, minutes, seconds) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
}

/// The date of a day since 1970, in a year that begins with March so that the leap day is its last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 { months_since_march + 3 } else { months_since_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_told_as_everybody_tells_them() {
        for (wall_ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (1_795_161_918_774, "2026-11-20T08:05:18Z"),
        ] {
            assert_eq!(utc(wall_ms), text);
        }
    }
}
