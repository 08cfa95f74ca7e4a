//! `cargo xtask e2e vega`: whether the core that our tests look after answers as a real one does.
//!
//! What a real core says to its supervisor is made by a library, gorilla/rpc with its first JSON codec. A small server of
//! that library and `fakenode` are put into the same states and asked the same questions, well and badly put; status,
//! type and body must be the same to the byte. Then that server speaks for a core that our program looks after as `visor`.
//! The real core is not built: its modules are on no module proxy that we may count on.

mod supervised;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use fakenode::Profile;
use fakenode::vega::{Role, tell};
use serde_json::{Value, json};

use super::parts::{NotHere, ours, vega_server};
use crate::processes::wait_until;
use crate::{Verdict, report};

const PATIENCE: Duration = Duration::from_secs(30);
const METHOD: &str = "protocolupgrade.UpgradeStatus";
const JSON: &str = "Content-Type: application/json";

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Vega {
    /// Say what was asked and answered, not only where the answers differ.
    #[arg(long)]
    show: bool,
}

/// Asks both, and tells every difference.
pub(super) fn run(root: &Path, wanted: &Vega) -> Result<Verdict> {
    let server = match vega_server(root) {
        Ok(server) => server,
        Err(error) => {
            let NotHere(why) = error.downcast()?;
            report(&format!("not run: {why}"));
            return Ok(Verdict::NotRun);
        }
    };
    let folder = root.join("target/e2e/runs").join(format!("vega-{}", std::process::id()));
    fs::create_dir_all(&folder).context("make a folder for the run")?;
    let outcome = fakenode(root).and_then(|fakenode| {
        let (asked, differences) = compare_all(&fakenode, &server, &folder, wanted.show)?;
        report(&format!("{asked} questions, {differences} answered differently"));
        supervised::run(&ours(root, false)?, &fakenode, &server, &folder.join("supervised"))?;
        report("an upgrade by what the library's server said");
        Ok(Verdict::from(asked > 0 && differences == 0))
    });
    let _ = fs::remove_dir_all(&folder);
    outcome
}

fn compare_all(fakenode: &Path, server: &Path, folder: &Path, show: bool) -> Result<(usize, usize)> {
    let (mut asked, mut differences) = (0, 0);
    for standing in standings() {
        let real = Process::start(Command::new(server).arg(folder.join("real.sock")).args(&standing.words))?;
        let fake = standing.play(fakenode, folder)?;
        let sockets = [folder.join("real.sock"), folder.join("fake.sock")];
        for socket in &sockets {
            wait_until("a server to listen", PATIENCE, || UnixStream::connect(socket).is_ok())?;
        }
        wait_until(&format!("the fake core to be {}", standing.name), PATIENCE, || {
            let good = questions().next().unwrap_or_default();
            matches!((ask(&sockets[0], &good), ask(&sockets[1], &good)), (Ok(real), Ok(fake)) if real == fake)
        })?;
        for question in questions() {
            let [real, fake] = [ask(&sockets[0], &question)?, ask(&sockets[1], &question)?];
            asked += 1;
            differences += usize::from(real != fake);
            if show || real != fake {
                report(&format!("{}: {question:?}\n  library: {real:?}\n  fakenode: {fake:?}", standing.name));
            }
        }
        drop((real, fake));
        let _ = fs::remove_file(&sockets[0]);
    }
    Ok((asked, differences))
}

fn fakenode(root: &Path) -> Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec().context("ask cargo")?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "-p", "fakenode"]).current_dir(root);
    ensure!(build.status().context("start cargo")?.success(), "build fakenode");
    Ok(metadata.target_directory.join("debug/fakenode").into())
}

/// A state of a core: how the library's server is told it, and how ours comes into it.
struct Standing {
    name: &'static str,
    words: Vec<String>,
    switches: Value,
}

fn standings() -> Vec<Standing> {
    let none = json!({ "VegaReleaseTag": "", "UpgradeBlockHeight": 0 });
    let release = json!({ "VegaReleaseTag": "v0.74.0+é<1>", "UpgradeBlockHeight": 5 });
    let status = |release: &Value, ready: bool| {
        vec![json!({ "AcceptedReleaseInfo": release, "ReadyToUpgrade": ready }).to_string()]
    };
    let upgrades = json!(["v0.74.0+é<1>@5"]);
    vec![
        Standing { name: "new", words: status(&Value::Null, false), switches: json!({ "stop_blocks": true }) },
        Standing { name: "in peace", words: status(&none, false), switches: json!({ "max_height": 3 }) },
        Standing {
            name: "before an upgrade",
            words: status(&release, false),
            switches: json!({ "max_height": 3, "upgrades": upgrades }),
        },
        Standing {
            name: "ready for an upgrade",
            words: status(&release, true),
            switches: json!({ "upgrades": upgrades }),
        },
        Standing {
            name: "failing",
            words: vec!["error".to_owned(), "upgrade status is not available".to_owned()],
            switches: json!({ "admin": "error" }),
        },
    ]
}

impl Standing {
    /// Starts a core in a home of its own.
    fn play(&self, fakenode: &Path, folder: &Path) -> Result<Process> {
        let place = folder.join(self.name.replace(' ', "-"));
        let witness = place.join("witness");
        let switches = self.switches.as_object().context("read switches")?;
        tell(&witness, Role::Core, switches)?;
        let profile = Profile::new("v0.73.0").with("block_ms", 5).with("witness", witness.to_string_lossy());
        let program = profile.install_as(&place, "vega", fakenode)?;
        let mut command = Command::new(program);
        command.arg("start").arg("--home").arg(place.join("home"));
        Process::start(command.arg("--admin.server.socket-path").arg(folder.join("fake.sock")))
    }
}

/// Head and body of every request that is compared. The first one is put as supervisors put it.
fn questions() -> impl Iterator<Item = (String, String)> {
    let bodies = [
        format!("{{\"method\":\"{METHOD}\",\"params\":[null],\"id\":822180063734500473}}"),
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{METHOD}\",\"params\":[],\"id\":1}}"),
        format!("{{\"METHOD\":\"{METHOD}\",\"Params\":[{{\"x\":1}}, 5],\"ID\":\"a b\"}} behind"),
        format!("{{\"method\":\"{METHOD}\",\"params\":[null],\"id\":[1, null, {{\"a\": true}}]}}"),
        format!("{{\"method\":\"{METHOD}\",\"params\":[null]}}"),
        format!("{{\"method\":\"{METHOD}\",\"params\":[null],\"id\":null}}"),
        format!("{{\"method\":\"{METHOD}\",\"id\":1}}"),
        format!("{{\"method\":\"{METHOD}\",\"params\":null,\"id\":1}}"),
        format!("{{\"method\":\"{METHOD}\",\"params\":{{}},\"id\":1}}"),
        format!("{{\"method\":\"{METHOD}\",\"params\":\"a\",\"id\":1}}"),
        format!("{{\"method\":\"{METHOD}\",\"params\":[3],\"id\":1}}"),
        "{\"method\":\"Protocolupgrade.UpgradeStatus\",\"params\":[null],\"id\":1}".to_owned(),
        "{\"method\":\"protocolupgrade.upgradeStatus\",\"params\":[null],\"id\":1}".to_owned(),
        "{\"method\":\"a.b\",\"params\":[null],\"id\":1}".to_owned(),
        "{\"method\":\"a.b.c\",\"id\":1}".to_owned(),
        "{\"method\":\"a\"}".to_owned(),
        "{\"method\":3}".to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
        "3".to_owned(),
        "[]".to_owned(),
        "x".to_owned(),
        "{".to_owned(),
        String::new(),
    ];
    let heads = [
        "GET /rpc HTTP/1.1".to_owned(),
        format!("PUT /rpc HTTP/1.1\r\n{JSON}"),
        format!("POST /rpc HTTP/1.1\r\n{JSON}; charset=UTF-8"),
        "POST /rpc HTTP/1.1\r\nContent-Type: text/xml; charset=x".to_owned(),
        "POST /rpc HTTP/1.1".to_owned(),
        format!("POST /other HTTP/1.1\r\n{JSON}"),
        format!("POST /rpc/ HTTP/1.1\r\n{JSON}"),
        format!("POST /rpc?x=1 HTTP/1.1\r\n{JSON}"),
    ];
    let good = bodies[0].clone();
    let posted = bodies.into_iter().map(|body| (format!("POST /rpc HTTP/1.1\r\n{JSON}"), body));
    posted.chain(heads.into_iter().map(move |head| (head, good.clone())))
}

/// What a client sees of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: String,
    content_type: Option<String>,
    body: String,
}

fn ask(socket: &Path, (head, body): &(String, String)) -> Result<Answer> {
    let stream = UnixStream::connect(socket).context("reach a server")?;
    stream.set_read_timeout(Some(PATIENCE)).context("bound the wait")?;
    let mut reader = BufReader::new(stream);
    let length = body.len();
    // In one piece, since a server that refuses a question by its head does not wait for the rest.
    let text = format!("{head}\r\nHost: unix\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    reader.get_mut().write_all(text.as_bytes()).context("ask a server")?;
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line).context("read an answer")? > 0, "read the head of an answer");
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut body = String::new();
    reader.read_to_string(&mut body).context("read an answer")?;
    let header = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(|it| it.trim().to_owned());
    let content_type = header("Content-Type:");
    Ok(Answer { status: lines.into_iter().next().unwrap_or_default(), content_type, body })
}

/// A process that ends when it is dropped.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Result<Self> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(quiet.spawn().context("start a server")?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
