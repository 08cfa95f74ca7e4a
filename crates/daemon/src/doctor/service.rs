//! The service manager above us: whether it gives a stop the time it needs, and leaves the node to us.

use ov_sys::process::{Program, run};
use ov_types::Span;

use super::host::{PROGRAM_TIMEOUT, own_cgroup};
use super::{DoctorInput, Verdict};

pub(super) fn stop(input: &DoctorInput<'_>) -> Vec<Verdict> {
    ask(input, ["Type", "TimeoutStopUSec"], |name, [kind, timeout]| judge_stop(name, kind, timeout, input.stop_ms_max))
}

pub(super) fn kill(input: &DoctorInput<'_>) -> Vec<Verdict> {
    ask(input, ["KillMode"], |name, [mode]| judge_kill(name, mode))
}

pub(super) fn restart(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let wanted = ["Restart", "RestartUSec", "StartLimitIntervalUSec", "StartLimitBurst"];
    ask(input, wanted, |name, [policy, pause, interval, burst]| judge_restart(name, policy, pause, interval, burst))
}

pub(super) fn linger(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(service) = Service::ours(input).filter(|service| service.of_user) else { return Vec::new() };
    let user = rustix::process::geteuid().as_raw().to_string();
    let asked = Program { timeout: PROGRAM_TIMEOUT, ..Program::new("loginctl") };
    vec![match run(&asked.arguments(["show-user", &user, "--property=Linger", "--value"])) {
        Ok(output) => judge_linger(&service.name, output.stdout.trim_ascii()),
        Err(error) => Verdict::unknown(&service.name, format!("loginctl cannot be asked: {error}")),
    }]
}

/// Asks systemd for properties of the service that we run in, and has the answers judged.
fn ask<const N: usize>(
    input: &DoctorInput<'_>,
    properties: [&str; N],
    judge: impl Fn(&str, [&str; N]) -> Verdict,
) -> Vec<Verdict> {
    let Some(service) = Service::ours(input) else { return Vec::new() };
    vec![match service.ask(&properties) {
        Err(why) => Verdict::unknown(&service.name, why),
        Ok(values) => {
            let mut values = values.iter().map(String::as_str);
            judge(&service.name, properties.map(|_| values.next().unwrap_or_default()))
        }
    }]
}

pub(super) fn judge_stop(name: &str, kind: &str, timeout: &str, needed_ms: u64) -> Verdict {
    const FIX: &str = "set Type=notify, so that omnivisor can ask for more time, or raise TimeoutStopSec=";
    if kind.starts_with("notify") {
        return Verdict::good(name, "long stops are announced");
    }
    match span_ms(timeout) {
        None if timeout == "infinity" => Verdict::good(name, "a stop may take any time"),
        None => Verdict::unknown(name, format!("TimeoutStopUSec is `{timeout}`")),
        Some(given_ms) if given_ms < needed_ms => {
            let (given, needed) = (Span::from_ms(given_ms), Span::from_ms(needed_ms));
            let message = format!("systemd kills everything after {given}, and a unit may take {needed} to stop");
            Verdict::error(name, message, FIX)
        }
        Some(given_ms) => Verdict::good(name, format!("a stop may take {}", Span::from_ms(given_ms))),
    }
}

pub(super) fn judge_kill(name: &str, mode: &str) -> Verdict {
    if mode == "control-group" {
        let message = "KillMode=control-group: a stop or restart of the service signals the node past its stop rules";
        return Verdict::warning(name, message, "set KillMode=process (restarts leave the node alone) or mixed");
    }
    Verdict::good(name, format!("KillMode={mode}"))
}

/// A daemon that cannot begin, on a full disk for one, must be tried until it can: systemd gives up for good when a
/// service was started too often in too little time.
pub(super) fn judge_restart(name: &str, policy: &str, pause: &str, interval: &str, burst: &str) -> Verdict {
    if policy == "no" {
        let message = "Restart=no: once the daemon ended, nobody looks after the node any more";
        return Verdict::warning(name, message, "set Restart=always, with RestartSec=");
    }
    let (Some(pause_ms), Ok(burst)) = (span_ms(pause), burst.parse::<u64>()) else {
        return Verdict::unknown(name, format!("RestartUSec is `{pause}`, StartLimitBurst is `{burst}`"));
    };
    match span_ms(interval) {
        None if interval != "infinity" => Verdict::unknown(name, format!("StartLimitIntervalUSec is `{interval}`")),
        Some(0) => Verdict::good(name, format!("Restart={policy}, for ever")),
        _ if burst == 0 => Verdict::good(name, format!("Restart={policy}, for ever")),
        Some(interval_ms) if pause_ms.saturating_mul(burst) >= interval_ms => {
            Verdict::good(name, format!("Restart={policy}, too slowly for its limit"))
        }
        _ => {
            let message = format!("systemd gives up for good after {burst} starts within {interval}");
            Verdict::warning(name, message, "set StartLimitIntervalSec=0, with RestartSec= of some seconds")
        }
    }
}

pub(super) fn judge_linger(name: &str, answer: &[u8]) -> Verdict {
    match answer {
        b"yes" => Verdict::good(name, "the user's services outlive their sessions"),
        b"no" => {
            let message = "it is a user's service: the node ends when the user's last session does";
            Verdict::warning(name, message, "loginctl enable-linger")
        }
        _ => Verdict::unknown(name, "loginctl does not say whether the user lingers"),
    }
}

/// The systemd service that we run in.
struct Service {
    name: String,
    /// Whether it belongs to a user's own manager.
    of_user: bool,
}

impl Service {
    fn ours(input: &DoctorInput<'_>) -> Option<Self> {
        service_of(own_cgroup(input)?.to_str()?)
    }

    /// The values of these properties, in their order.
    fn ask(&self, properties: &[&str]) -> Result<Vec<String>, String> {
        let mut arguments = vec!["show".to_owned(), self.name.clone()];
        arguments.extend(self.of_user.then(|| "--user".to_owned()));
        arguments.extend(properties.iter().map(|property| format!("--property={property}")));
        let asked = Program { timeout: PROGRAM_TIMEOUT, ..Program::new("systemctl").arguments(arguments) };
        let output = run(&asked).map_err(|error| format!("systemctl cannot be asked: {error}"))?;
        if !output.success() {
            return Err("systemctl gives no answer".to_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // It answers in an order of its own.
        let value = |property: &&str| text.lines().find_map(|line| line.strip_prefix(property)?.strip_prefix('='));
        let values: Option<Vec<_>> = properties.iter().map(|property| value(property).map(str::to_owned)).collect();
        values.ok_or_else(|| "systemctl does not know these properties".to_owned())
    }
}

fn service_of(cgroup: &str) -> Option<Service> {
    let mut services = cgroup.split('/').filter(|part| part.ends_with(".service"));
    let name = services.next_back()?.to_owned();
    Some(Service { of_user: services.any(|part| part.starts_with("user@")), name })
}

/// A length of time as systemctl prints it: `1min 30s`.
fn span_ms(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("us", 0),
        ("ms", 1),
        ("s", 1_000),
        ("min", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("month", 2_629_800_000),
        ("y", 31_557_600_000),
    ];
    let mut total: u64 = 0;
    for part in text.split_whitespace() {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, unit) = part.split_at(digits);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*scale)?)?;
    }
    (!text.trim().is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_found_in_the_name_of_the_cgroup() {
        for (cgroup, expected) in [
            ("/system.slice/omnivisor-a.service", Some(("omnivisor-a.service", false))),
            ("/system.slice/omnivisor-a.service/units/main", Some(("omnivisor-a.service", false))),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/node.service", Some(("node.service", true))),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            ("/", None),
        ] {
            let found = service_of(cgroup);
            assert_eq!(found.as_ref().map(|service| (service.name.as_str(), service.of_user)), expected);
        }
    }

    #[test]
    fn times_are_read_as_systemctl_prints_them() {
        for (text, ms) in [
            ("1min 30s", Some(90_000)),
            ("500ms", Some(500)),
            ("2h", Some(7_200_000)),
            ("1d 1us", Some(86_400_000)),
            ("infinity", None),
            ("", None),
            ("90", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(span_ms(text), ms, "{text}");
        }
    }
}
