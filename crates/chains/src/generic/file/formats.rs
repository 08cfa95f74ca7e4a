//! What texts and numbers in the file may look like: each form once, as JSON Schema and as a check.
//!
//! Checks answer with a sentence for the operator, which says what is allowed. They look at one value alone.

use std::net::SocketAddr;

use ov_types::{ByteSize, GroupName, ReleaseName, Span, UnitName};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::words;

/// Answers with what is wrong.
type Check = fn(&str) -> Result<(), String>;

/// Texts of a certain form: the schema's function, its `format`, and the check behind it.
macro_rules! forms {
    ($($function:ident $format:literal $check:path;)*) => {
        $(pub(super) fn $function(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "format": $format })
        })*
        const FORMS: &[(&str, Check)] = &[$(($format, $check)),*, ("hook-url", check_hook_url),
            ("unit-name", check_unit_name), ("release-name", check_release_name),
            ("limit", check_limit), ("status", check_status), ("pattern", check_pattern)];
    };
}

forms! {
    span "span" check_span;
    lasting "positive-span" check_lasting;
    size "size" check_size;
    name "name" check_name;
    group_name "group-name" check_group_name;
    signal "signal" check_signal;
    umask "umask" check_umask;
    url "url" check_url;
    pointer "json-pointer" check_pointer;
    address "address" check_address;
    socket_address "socket-address" check_socket_address;
    variable "variable" check_variable;
}

/// Words out of a fixed list.
macro_rules! vocabularies {
    ($($function:ident $words:expr;)*) => {
        $(pub(super) fn $function(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "enum": $words })
        })*
    };
}

vocabularies! {
    chain crate::family::names();
    restart ["always", "on-failure", "never"];
    stdin ["null", "inherit"];
    output ["pump", "inherit"];
    loop_action ["park", "retry", "end"];
    health_action ["tell", "restart", "end"];
    stall_action ["alert", "restart", "off"];
    on_failure ["rollback", "hold"];
    keep_method ["auto", "reflink", "hard-link", "copy", "off"];
}

/// Everything else that has a form.
macro_rules! schemas {
    ($($function:ident $schema:tt;)*) => {
        $(pub(super) fn $function(_: &mut SchemaGenerator) -> Schema {
            json_schema!($schema)
        })*
    };
}

schemas! {
    integer { "type": "integer", "format": "int64" };
    nice { "type": "integer", "minimum": -20, "maximum": 19 };
    oom_score_adjust { "type": "integer", "minimum": -1000, "maximum": 1000 };
    exit_codes { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 255 } };
    scalar { "type": ["string", "integer", "boolean"] };
    urls { "type": "array", "items": { "type": "string", "format": "url" } };
    spans { "type": "array", "items": { "type": "string", "format": "positive-span" } };
    patterns { "type": "array", "items": { "type": "string", "format": "pattern" } };
    notifications { "type": "array", "items": { "type": "string", "enum": words::NOTIFICATIONS } };
    hook_url { "type": "string", "format": "hook-url", "writeOnly": true };
    statuses {
        "type": "array",
        "items": { "type": ["integer", "string"], "minimum": 100, "maximum": 599, "format": "status" }
    };
    limits {
        "type": "object",
        "propertyNames": { "enum": words::RESOURCES },
        "additionalProperties": { "type": ["integer", "string"], "minimum": 0, "format": "limit" }
    };
    conditions {
        "type": "object",
        "propertyNames": { "format": "unit-name" },
        "additionalProperties": { "type": "string", "enum": ["up", "ready"] }
    };
}

/// Checks a text against the form and the words of its schema.
pub(crate) fn check_text(text: &str, schema: &Value) -> Result<(), String> {
    if text.contains('\0') {
        return Err("a text may not contain the character NUL".to_owned());
    }
    if let Some(known) = schema["enum"].as_array() {
        return check_word(text, known);
    }
    let check = schema["format"].as_str().and_then(|format| FORMS.iter().find(|(known, _)| *known == format));
    check.map_or(Ok(()), |(_, check)| check(text))
}

/// Checks the name of a key where names are free.
pub(crate) fn check_key(name: &str, table: &Value) -> Result<(), String> {
    check_text(name, &table["propertyNames"])
}

fn check_word(text: &str, known: &[Value]) -> Result<(), String> {
    let known: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
    if known.contains(&text) {
        return Ok(());
    }
    let all = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    Err(match words::nearest(text, known) {
        Some(nearest) => format!("`{text}` is not known; did you mean `{nearest}`? Known are {all}"),
        None => format!("`{text}` is not known; known are {all}"),
    })
}

fn check_span(text: &str) -> Result<(), String> {
    text.parse::<Span>().map(drop).map_err(|error| error.to_string())
}

fn check_lasting(text: &str) -> Result<(), String> {
    match text.parse::<Span>() {
        Ok(span) if span.ms() == 0 => Err(format!("`{text}` is too short: it must be longer than nothing")),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn check_size(text: &str) -> Result<(), String> {
    text.parse::<ByteSize>().map(drop).map_err(|error| error.to_string())
}

fn check_name(text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.chars().count() > 128 || text.chars().any(char::is_control) {
        return Err("a name has 1 to 128 characters and no control characters".to_owned());
    }
    Ok(())
}

fn check_group_name(text: &str) -> Result<(), String> {
    GroupName::new(text).map(drop).map_err(|error| error.to_string())
}

fn check_unit_name(text: &str) -> Result<(), String> {
    UnitName::new(text).map(drop).map_err(|error| error.to_string())
}

fn check_release_name(text: &str) -> Result<(), String> {
    ReleaseName::new(text).map(drop).map_err(|error| error.to_string())
}

fn check_variable(text: &str) -> Result<(), String> {
    if text.is_empty() || text.contains('=') {
        return Err(format!("`{text}` is not the name of a variable: it may not be empty or contain `=`"));
    }
    Ok(())
}

fn check_signal(text: &str) -> Result<(), String> {
    let all = words::SIGNALS.map(|(name, number)| format!("`{name}` ({number})")).join(", ");
    words::signal_number(text)
        .map(drop)
        .ok_or_else(|| format!("`{text}` is not a signal that can be used; known are {all}"))
}

fn check_umask(text: &str) -> Result<(), String> {
    let octal = text.bytes().all(|byte| byte.is_ascii_digit()) && (3..=4).contains(&text.len());
    let valid = octal && u32::from_str_radix(text, 8).is_ok_and(|mask| mask <= 0o777);
    valid.then_some(()).ok_or_else(|| format!("`{text}` is not a mask of three octal digits such as `0027`"))
}

fn check_limit(text: &str) -> Result<(), String> {
    parse_limit(text).map(drop).ok_or_else(|| {
        format!("`{text}` is not a limit such as `65536`, `1024:65536` or `unlimited`, soft before hard")
    })
}

/// Soft and hard limit of a text; `None` within is unlimited.
pub(crate) fn parse_limit(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let one = |text: &str| match text.trim() {
        "unlimited" => Some(None),
        number => digits(number).map(Some),
    };
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let (soft, hard) = (one(soft)?, one(hard)?);
    (soft.unwrap_or(u64::MAX) <= hard.unwrap_or(u64::MAX)).then_some((soft, hard))
}

/// A number without a sign.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn check_status(text: &str) -> Result<(), String> {
    parse_status(text).map(drop).ok_or_else(|| format!("`{text}` is not a status or a range of them such as `200-299`"))
}

/// First and last status of a text.
pub(crate) fn parse_status(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (digits(first.trim())?, digits(last.trim())?);
    (100 <= first && first <= last && last <= 599).then_some((first, last))
}

fn check_pattern(text: &str) -> Result<(), String> {
    ov_vault::Globs::new([text]).map(drop).map_err(|_| {
        format!("`{text}` is not a pattern of names within the data directory such as `*.sst` or `chain.db/*.sst`")
    })
}

fn check_pointer(text: &str) -> Result<(), String> {
    if text.starts_with('/') {
        return Ok(());
    }
    Err(format!("`{text}` is not a place in JSON: it begins with `/`, such as `/result/height`"))
}

/// Its messages never say what the text is: it may hold a secret by mistake.
fn check_url(text: &str) -> Result<(), String> {
    match url_parts(text) {
        Some(parts) if !parts.contains('@') => Ok(()),
        Some(_) => Err("an address that is asked may not carry a user or password".to_owned()),
        None => Err("this is not an address such as `http://127.0.0.1:26657/status`".to_owned()),
    }
}

/// Its message never says what the text is: it may hold a secret.
fn check_hook_url(text: &str) -> Result<(), String> {
    url_parts(text).map(drop).ok_or_else(|| "this is not an address such as `https://hooks.example/…`".to_owned())
}

/// The user, host and port of a web address.
fn url_parts(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let host_port_given = host_port.strip_suffix(':').is_none() && split_port(host_port, false);
    (printable && host_port_given).then_some(authority)
}

/// Whether this is a host with a port, which may be missing unless it is needed.
fn split_port(text: &str, needed: bool) -> bool {
    let (host, port) = match text.rfind(']') {
        Some(end) => (&text[..=end], text[end + 1..].strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let ipv6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_good = match ipv6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
    };
    let port_good = port.map_or(!needed, |port| digits::<u16>(port).is_some_and(|port| port > 0));
    let nothing_between = ipv6.is_none() || text[host.len()..].is_empty() || port.is_some();
    host_good && port_good && nothing_between
}

fn check_address(text: &str) -> Result<(), String> {
    split_port(text, true).then_some(()).ok_or_else(|| format!("`{text}` is not an address such as `127.0.0.1:26657`"))
}

fn check_socket_address(text: &str) -> Result<(), String> {
    let known = text.parse::<SocketAddr>().map(drop);
    known.map_err(|_| format!("`{text}` is not an IP address with a port such as `127.0.0.1:9300`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn good(format: &str, text: &str) -> bool {
        check_text(text, &serde_json::json!({ "format": format })).is_ok()
    }

    #[test]
    fn forms_accept_what_is_good_and_nothing_else() {
        let table: [(&str, &[&str], &[&str]); 12] = [
            ("positive-span", &["1ms", "90s"], &["0s", "0", "90", ""]),
            ("umask", &["0027", "077", "0777"], &["27", "0888", "1777", "00027", "-22", "+22"]),
            ("limit", &["1", "1:2", "unlimited", "1:unlimited", "0"], &["2:1", "unlimited:1", "-1", "1:2:3", ""]),
            ("status", &["200", "200-299"], &["99", "600", "299-200", "2xx", "-"]),
            ("json-pointer", &["/a/b", "/"], &["a", ""]),
            (
                "url",
                &["http://a", "https://a.b:1/x?y", "http://[::1]:80/", "http://a?x"],
                &[
                    "ftp://a",
                    "a",
                    "http://",
                    "http://a:0",
                    "http://a:",
                    "http://a:x",
                    "http://u:p@a",
                    "http://a b",
                    "http://[::1",
                    "http://[::1]x",
                    "http://:80",
                ],
            ),
            ("hook-url", &["https://u:p@a/b"], &["a", "https://"]),
            ("address", &["a:1", "127.0.0.1:65535", "[::1]:1"], &["a", ":1", "a:0", "a:65536", "::1:1", "[::1]"]),
            ("socket-address", &["127.0.0.1:1", "[::]:1"], &["localhost:1", "1"]),
            ("variable", &["A", "a.b"], &["", "A=B"]),
            ("pattern", &["*.sst", "a/*", "a/**"], &["", "/a", "../a"]),
            ("name", &["a b", "ü"], &["", " ", "a\nb"]),
        ];
        for (format, accepted, refused) in table {
            for text in accepted {
                assert!(good(format, text), "{format} refused {text:?}");
            }
            for text in refused {
                assert!(!good(format, text), "{format} accepted {text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_check_panic(text in "[\\[\\]:/@.0-9a-z?#ü -]{0,24}") {
            for (_, check) in FORMS {
                let _ = check(&text);
            }
        }
    }
}
