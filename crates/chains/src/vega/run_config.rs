//! What `run-config.toml` says: what is launched of a release, and where its core answers.
//!
//! Which member of the family a home is of, the file tells by the table of the core. Pure: files come as bytes, and go
//! as text in the very form of the original's encoder.

use std::fmt::Write as _;
use std::path::Path;

use super::fields::{Fields, Remarks, document};
use super::flavour::{FLAVOURS, Flavour};
use crate::template::Template;

/// The file in the folder of a release.
pub const RUN_CONFIG_FILE: &str = "run-config.toml";

/// The word that makes the core's own program a data node.
pub(super) const DATA_NODE_COMMAND: &str = "datanode";

const DATA_NODE: &str = "data_node";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunConfig {
    /// The member of the family.
    pub flavour: &'static Flavour,
    /// The name of the upgrade, for people.
    pub name: String,
    /// The core.
    pub core: Launch,
    /// Where the core answers.
    pub rpc: Rpc,
    /// The data node beside it.
    pub data_node: Option<Launch>,
}

/// A program and its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// Where it is: from the folder of the release on, unless it is absolute. Never split at blanks.
    pub path: String,
    /// Its arguments, if the file has any.
    pub args: Option<Vec<String>>,
}

/// Where a core answers questions of its own machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rpc {
    /// The socket.
    pub socket: String,
    /// The path that is asked for.
    pub http_path: String,
}

impl Launch {
    /// Where it is, in whichever release is launched.
    pub(super) fn program(&self) -> Template {
        let path = self.path.as_str();
        if Path::new(path).is_absolute() { Template::literal(path) } else { Template::in_release(path) }
    }

    /// Its arguments.
    pub fn args(&self) -> &[String] {
        self.args.as_deref().unwrap_or_default()
    }
}

/// Reads a file, or says why it is none.
pub fn read_run_config(bytes: &[u8]) -> Result<(RunConfig, Remarks), String> {
    let table = document(bytes)?;
    let fields = Fields::of_file(&table);
    let mut remarks = Remarks::default();
    let mut present = FLAVOURS.iter().filter(|flavour| fields.entry(flavour.name).is_some());
    let Some(flavour) = present.next() else {
        let tables = FLAVOURS.each_ref().map(|flavour| format!("[{}]", flavour.name));
        return Err(format!("it has none of the tables {}", tables.join(", ")));
    };
    let core = fields.table(flavour.name, &mut remarks);
    let rpc = core.as_ref().and_then(|core| core.table("rpc", &mut remarks));
    let read = RunConfig {
        flavour,
        name: fields.text("name", &mut remarks).unwrap_or_default(),
        core: launch(core.as_ref(), &mut remarks),
        rpc: Rpc {
            socket: rpc.as_ref().and_then(|rpc| rpc.text("socketPath", &mut remarks)).unwrap_or_default(),
            http_path: rpc.as_ref().and_then(|rpc| rpc.text("httpPath", &mut remarks)).unwrap_or_default(),
        },
        data_node: fields.table(DATA_NODE, &mut remarks).map(|own| launch(Some(&own), &mut remarks)),
    };
    fields.only(&["name", flavour.name, DATA_NODE], &mut remarks);
    if let Some(core) = &core {
        core.only(&["binary", "rpc"], &mut remarks);
    }
    if let Some(rpc) = &rpc {
        rpc.only(&["socketPath", "httpPath"], &mut remarks);
    }
    look_at(&read, &mut remarks);
    Ok((read, remarks))
}

fn launch(fields: Option<&Fields<'_>>, remarks: &mut Remarks) -> Launch {
    let Some(fields) = fields else { return Launch::default() };
    let Some(binary) = fields.table("binary", remarks) else {
        // A table of another kind was told already.
        if fields.entry("binary").is_none() {
            remarks.problems.push(format!("{} is missing", fields.path("binary")));
        }
        return Launch::default();
    };
    let known = binary.entry("path").is_some();
    let path = binary.text("path", remarks).unwrap_or_default();
    if path.is_empty() && (!known || binary.entry("path").is_some_and(|(_, value)| value.is_str())) {
        remarks.problems.push(format!("{} is missing", binary.path("path")));
    }
    binary.only(&["path", "args"], remarks);
    Launch { path, args: binary.texts("args", remarks) }
}

/// What works as it is written, and is seldom meant so.
fn look_at(read: &RunConfig, remarks: &mut Remarks) {
    let core = read.flavour.name;
    let mut warn = |warning: String| remarks.warnings.push(warning);
    if read.rpc.socket.is_empty() {
        warn(format!(
            "{core}.rpc.socketPath is empty: the core cannot be asked, and no upgrade is learned; write the `SocketPath` \
             of `[Admin.Server]` in the core's configuration"
        ));
    }
    if !read.rpc.http_path.starts_with('/') {
        let found = &read.rpc.http_path;
        warn(format!("{core}.rpc.httpPath is {found:?}: a core answers at \"/rpc\" unless it is configured otherwise"));
    }
    for (place, launch) in [(core, Some(&read.core)), (DATA_NODE, read.data_node.as_ref())] {
        let Some(launch) = launch else { continue };
        if launch.args() == EXAMPLE_ARGS {
            warn(format!("{place}.binary.args are still those of the example"));
        }
    }
    let Some(data_node) = &read.data_node else { return };
    let is_of_old = ["node", "start"].contains(&data_node.args().first().map_or("", String::as_str));
    if data_node.path.contains(' ') || is_of_old {
        warn(format!(
            "data_node.binary is written for a release before v0.71, where the data node was a program of its own; since \
             then it is path = {core:?} with args = [{DATA_NODE_COMMAND:?}, \"start\", …]"
        ));
    }
}

/// The arguments that `init` writes.
const EXAMPLE_ARGS: [&str; 3] = ["arg1", "arg2", "..."];

/// The file that `init` writes for a release.
pub(super) fn example(flavour: &'static Flavour, name: &str, has_data_node: bool) -> RunConfig {
    let launch = |path: String| Launch { path, args: Some(EXAMPLE_ARGS.map(str::to_owned).into()) };
    RunConfig {
        flavour,
        name: name.to_owned(),
        core: launch(flavour.name.to_owned()),
        rpc: Rpc::default(),
        data_node: has_data_node.then(|| launch(format!("{} data-node", flavour.name))),
    }
}

impl RunConfig {
    /// What a release needs that was fetched: as this one, with the tag and the program of the other. A data node that was
    /// a program of its own becomes a command of that program.
    #[must_use]
    pub fn of_fetched(&self, tag: &str, program: &str) -> Self {
        let mut next = Self { name: tag.to_owned(), ..self.clone() };
        program.clone_into(&mut next.core.path);
        if let Some(data_node) = &mut next.data_node {
            program.clone_into(&mut data_node.path);
            if let Some(args) = data_node.args.as_mut().filter(|args| !args.is_empty())
                && args[0] != DATA_NODE_COMMAND
            {
                args.splice(..1, [DATA_NODE_COMMAND.to_owned(), "start".to_owned()]);
            }
        }
        next
    }

    /// The file, byte for byte as the original would write it.
    pub fn to_text(&self) -> String {
        let core = self.flavour.name;
        let mut text = format!("name = {}\n\n[{core}]\n", quoted(&self.name));
        push_binary(&mut text, core, &self.core);
        let (socket, http_path) = (quoted(&self.rpc.socket), quoted(&self.rpc.http_path));
        // Writing to a text cannot fail.
        let _ = write!(text, "  [{core}.rpc]\n    socketPath = {socket}\n    httpPath = {http_path}\n");
        if let Some(data_node) = &self.data_node {
            let _ = write!(text, "\n[{DATA_NODE}]\n");
            push_binary(&mut text, DATA_NODE, data_node);
        }
        text
    }
}

fn push_binary(text: &mut String, table: &str, launch: &Launch) {
    let _ = write!(text, "  [{table}.binary]\n    path = {}\n", quoted(&launch.path));
    if let Some(args) = &launch.args {
        let args: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        let _ = writeln!(text, "    args = [{}]", args.join(", "));
    }
}

/// A text as the original's encoder quotes it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            control if control.is_ascii_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
