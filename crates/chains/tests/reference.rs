//! `docs/configuration.md` is made from the schema: fails when it is not up to date, and writes it with `UPDATE_DOCS=1`.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

const HEAD: &str = "\
# `omnivisor.toml`

<!-- Made from the comments in crates/chains/src/generic/file; `UPDATE_DOCS=1 cargo test -p ov-chains` writes it. -->

One file per node, in the node's home. Every key has a default; three lines are enough:

```toml
{minimal}```

A key that is not known is refused, with the nearest one that is; everything that is wrong is told at once, with file,
line and key. The file is read again when it changes or on SIGHUP, all or nothing, and an event tells which keys hold now
and which from the next start of what they are about. `omnivisor schema` prints a JSON Schema for editors.

**Forms.** A length of time is a text such as `\"250ms\"`, `\"90s\"`, `\"1m30s\"` or `\"2h\"`; a size is a text such as
`\"64MiB\"` or `\"2GB\"`. Relative paths, programs included, begin at the node's home unless it is said otherwise. In texts, `{home}` is the
node's home, `{data}` its data directory, `{unit}` the unit's name and `{release}` the folder of the release that is about
to run; `{{home}}` is a literal `{home}`.

";

const TAIL: &str = "\
## What `chain = \"cosmos\"` stands for

As if this stood in the file, over which everything holds that does stand there; `[cosmos]` and the node's own
`config/config.toml` fill in what is in angle brackets. Sections that say one thing in several keys are not mixed: who
writes `ready`, `health`, `height`, `version` or `validator` writes the whole of it. Where the node answers nobody
(`laddr = \"\"`), or another holds its key, the sections about that are missing.

```toml
{cosmos-defaults}```

Besides, the release `genesis` lies beside the folder of the others; the copy of a plan that was carried out is left in
the folder of its release; the exit codes of `pre-upgrade` are heeded (1 from a program that has no such command, 30, 31);
and heights behind `--unsafe-skip-upgrades` are skipped. How it is used: [the guide](guides/cosmos.md#native-use).

## Examples

A node of the Cosmos SDK:

```toml
{cosmos}```

A validator of the CometBFT family:

```toml
{validator}```

A node with two helpers:

```toml
{helpers}```

Two units that live and die together, under a service manager that is to see it when they cannot:

```toml
{together}```
";

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What may stand at a key, in words.
fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(" or ");
    }
    let number = || match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
        _ => "a whole number".to_owned(),
    };
    match (text_of(&schema["type"]), text_of(&schema["format"])) {
        ("string", "span" | "positive-span") => "a length of time".to_owned(),
        ("string", "size") => "a size".to_owned(),
        ("string", "url" | "hook-url") => "a web address".to_owned(),
        ("string", "address" | "socket-address") => "an address with a port".to_owned(),
        ("string", "signal") => "a signal".to_owned(),
        ("string", _) => "a text".to_owned(),
        ("integer", _) => number(),
        ("boolean", _) => "`true` or `false`".to_owned(),
        ("array", _) => format!("a list of: {}", kind(&schema["items"])),
        ("object", _) => format!("a table of names, each with: {}", kind(&schema["additionalProperties"])),
        _ => "a text or a number".to_owned(),
    }
}

fn section(out: &mut String, title: &str, name: &str, schema: &Value) {
    if !title.is_empty() {
        writeln!(out, "## `{title}`\n\n{}\n", text_of(&schema["description"])).unwrap();
    }
    let mut below = Vec::new();
    for (key, schema) in schema["properties"].as_object().unwrap() {
        let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        if schema["properties"].is_object() {
            below.push((format!("[{path}]"), path, schema.clone()));
            continue;
        }
        let inner =
            [("items", format!("[[{path}]]"), ""), ("additionalProperties", format!("[{path}.<name>]"), ".<name>")];
        if let Some((place, title, suffix)) =
            inner.into_iter().find(|(place, ..)| schema[place]["properties"].is_object())
        {
            let mut inner = schema[place].clone();
            inner["description"] = schema["description"].clone();
            below.push((title, format!("{path}{suffix}"), inner));
            continue;
        }
        let default = schema.get("default").map(|default| format!(", default `{default}`")).unwrap_or_default();
        writeln!(out, "- **`{key}`** ({}{default})\n", kind(schema)).unwrap();
        writeln!(out, "  {}\n", text_of(&schema["description"]).replace('\n', "\n  ")).unwrap();
    }
    for (title, path, schema) in below {
        section(out, &title, &path, &schema);
    }
}

fn reference() -> String {
    let mut out = HEAD.replace("{minimal}", &example("minimal.toml"));
    section(&mut out, "", "", &ov_chains::schema());
    let defaults = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cosmos/defaults.toml");
    let defaults = std::fs::read_to_string(defaults).unwrap();
    let parts = [
        ("{cosmos-defaults}", defaults),
        ("{cosmos}", example("cosmos.toml")),
        ("{validator}", example("validator.toml")),
        ("{helpers}", example("helpers.toml")),
        ("{together}", example("together.toml")),
    ];
    out + &parts.iter().fold(TAIL.to_owned(), |text, (mark, part)| text.replace(mark, part))
}

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let made = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let advice = "docs/configuration.md is not up to date: `UPDATE_DOCS=1 cargo test -p ov-chains` writes it";
    assert!(written == made, "{advice}");
}
