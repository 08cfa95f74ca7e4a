//! Probes against real listeners, programs and files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ov_chains::Template;
use ov_chains::shape::{Comparison, Expect, GrpcCall, HeightProbe, JsonRpcCall, VersionProbe};
use ov_sys::RealDisk;
use ov_testkit::{PlanService, Says};
use ov_types::{Height, ReleaseName};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::*;

/// Enough for anything that is meant to be answered.
const LONG: Duration = Duration::from_secs(20);

fn scene(timeout: Duration) -> Scene {
    Scene { disk: Arc::new(RealDisk), release: "/no/release".into(), environment: Vec::new(), directory: None, timeout }
}

async fn ask(probe: Probe, timeout: Duration) -> ProbeAnswer {
    Prober::new(probe, Question::Healthy, scene(timeout), None).ask(UnitNow::default()).await
}

/// Answers every connection with `reply` and leaves it open. Returns its port.
async fn server(reply: impl Into<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reply = reply.into();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&reply).await;
            open.push(stream);
        }
    });
    port
}

fn reply(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn http(port: u16, pointer: Option<&str>, expect: Option<Comparison>) -> Probe {
    let url = format!("http://127.0.0.1:{port}/status?token=hunter2");
    Probe::Http { url, status: vec![200..=299], pointer: pointer.map(str::to_owned), expect }
}

async fn refused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_web_server_is_judged_by_status_and_value() {
    let port = server(reply(200, r#"{"result":{"syncing":"false","height":"12"}}"#)).await;
    let synced = || Some(Comparison::Is(json!(false)));
    for (probe, ok) in [
        (http(port, None, None), true),
        (http(port, Some("/result/syncing"), synced()), true),
        (http(port, Some("/result/syncing"), None), true),
        (http(port, Some("/result/height"), Some(Comparison::AtLeast(13))), false),
        (http(port, Some("/result/peers"), None), false),
        (http(server(reply(503, "")).await, None, None), false),
        (http(server(reply(200, "<html>")).await, Some("/a"), None), false),
        (http(server("SSH-2.0-x\r\n").await, None, None), false),
        (http(refused_port().await, None, None), false),
    ] {
        let answer = ask(probe.clone(), LONG).await;
        assert_eq!(answer.ok, ok, "{probe:?}: {answer:?}");
        assert!(!answer.message.is_empty() && !answer.message.contains("hunter2"), "{answer:?}");
    }
}

/// Answers every connection to a socket in `folder` with `reply`, and then says what it was asked.
fn socket_server(folder: &Path, reply: String) -> (JsonRpcCall, tokio::sync::mpsc::Receiver<String>) {
    let socket = folder.join("node.sock");
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let (tell, asked) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            while !text.ends_with('}') {
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).await.unwrap_or(0);
                assert!(read > 0, "it hung up after {text}");
                text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
            }
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = tell.send(text).await;
            open.push(stream);
        }
    });
    (JsonRpcCall { socket, path: "/rpc".to_owned(), method: "service.Method".to_owned() }, asked)
}

#[tokio::test]
async fn a_json_rpc_service_is_asked_through_its_socket_and_judged_by_its_result() {
    let folder = tempfile::tempdir().unwrap();
    for (answer, ok) in [
        (reply(200, r#"{"result":{"a":1},"error":null,"id":1}"#), true),
        (reply(500, r#"{"result":false,"error":null,"id":1}"#), true),
        (reply(200, r#"{"result":null,"error":"no","id":1}"#), false),
        (reply(200, "<html>"), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_owned(), false),
    ] {
        let (call, mut asked) = socket_server(folder.path(), answer.clone());
        let bound = if ok || !answer.ends_with("\r\n\r\n") { LONG } else { Duration::from_millis(200) };
        let said = ask(Probe::JsonRpc(call), bound).await;
        assert_eq!(said.ok, ok, "{answer}: {said:?}");
        let request = asked.recv().await.unwrap();
        assert!(request.starts_with("POST /rpc HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("content-type: application/json") && request.contains(r#""params":[null]"#));
    }
    let gone = JsonRpcCall { socket: folder.path().join("gone"), path: "/rpc".to_owned(), method: "a.B".to_owned() };
    assert!(ask(Probe::JsonRpc(gone), LONG).await.message.contains("cannot be reached"));
}

#[tokio::test]
async fn a_user_in_an_address_is_sent_and_never_shown() {
    let asked = |port| Probe::Http {
        url: format!("http://me:hunter2@127.0.0.1:{port}/hunter2"),
        status: vec![200..=200],
        pointer: Some("/a".to_owned()),
        expect: None,
    };
    let answer = ask(asked(server(reply(200, r#"{"a":1}"#)).await), LONG).await;
    assert!(answer.ok, "{answer:?}");
    for port in [refused_port().await, server(reply(401, "")).await, server("nonsense").await] {
        let answer = ask(asked(port), LONG).await;
        assert!(!answer.ok && !answer.message.contains("hunter2"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_refused() {
    let endless = format!("HTTP/1.1 200 X\r\n\r\n{}", "1".repeat(ANSWER_BYTES_MAX + 1));
    let answer = ask(http(server(endless).await, Some("/a"), None), LONG).await;
    assert!(answer.message.contains("cannot be used"), "{answer:?}");
}

#[tokio::test]
async fn silence_ends_with_the_time() {
    let short = Duration::from_millis(100);
    for reply in ["", "HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\n1"] {
        let answer = ask(http(server(reply).await, Some("/a"), None), short).await;
        assert_eq!(answer, ProbeAnswer::no("no answer within 100ms"));
    }
}

#[tokio::test]
async fn a_port_is_open_or_not() {
    let open = ask(Probe::Tcp { address: format!("127.0.0.1:{}", server("").await) }, LONG).await;
    assert!(open.ok, "{open:?}");
    let closed = ask(Probe::Tcp { address: format!("127.0.0.1:{}", refused_port().await) }, LONG).await;
    assert!(!closed.ok && closed.message.contains("cannot be reached"), "{closed:?}");
    assert!(!ask(Probe::Tcp { address: "nonsense".to_owned() }, LONG).await.ok);
}

fn shell(script: &str) -> Probe {
    let args = ["-c", script].map(Template::literal).to_vec();
    Probe::Exec { program: Template::literal("/bin/sh"), args }
}

#[tokio::test]
async fn a_program_is_judged_by_its_exit() {
    for (probe, ok, message) in [
        (shell("echo 12 peers; echo more"), true, "/bin/sh exits with 0: 12 peers"),
        (shell("true"), true, "/bin/sh exits with 0"),
        (shell("echo no peers >&2; exit 3"), false, "/bin/sh exits with 3: no peers"),
        (shell("kill -9 $$"), false, "/bin/sh is ended by signal 9"),
    ] {
        assert_eq!(ask(probe, LONG).await, ProbeAnswer { ok, message: message.to_owned() });
    }
    let slow = ask(shell("sleep 600"), Duration::from_millis(100)).await;
    assert_eq!(slow, ProbeAnswer::no("/bin/sh does not end within 100ms"));
    let missing = Probe::Exec { program: Template::literal("/no/such/program"), args: Vec::new() };
    assert!(ask(missing, LONG).await.message.contains("cannot be run"));
}

#[tokio::test]
async fn what_the_shim_knows_is_answered_without_asking() {
    let ask = async |probe: Probe, question, unit: UnitNow| {
        Prober::new(probe, question, scene(Duration::from_secs(5)), None).ask(unit).await.ok
    };
    let silent = |seconds| UnitNow { silent_for: Some(Duration::from_secs(seconds)), ..UnitNow::default() };
    let ready = UnitNow { said_ready: true, ..UnitNow::default() };
    let running = UnitNow { running: true, ..UnitNow::default() };
    assert!(ask(Probe::Process, Question::Healthy, running).await);
    assert!(!ask(Probe::Process, Question::Healthy, ready).await);
    assert!(ask(Probe::Notify, Question::Ready, ready).await);
    assert!(!ask(Probe::Notify, Question::Ready, silent(0)).await);
    assert!(ask(Probe::Notify, Question::Healthy, silent(5)).await);
    assert!(!ask(Probe::Notify, Question::Healthy, silent(6)).await);
    assert!(!ask(Probe::Notify, Question::Healthy, ready).await);
}

#[tokio::test]
async fn a_line_makes_a_unit_ready() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("main.log");
    fs::write(&log, "server started\n").unwrap();
    let mark = LogMark::now(&RealDisk, &log).unwrap();
    let probe = Probe::LogLine { contains: "server started".to_owned() };
    let mut prober = Prober::new(probe.clone(), Question::Ready, scene(LONG), Some(mark));
    assert!(!prober.ask(UnitNow::default()).await.ok, "that line is older than the launch");
    fs::write(&log, "server started\nserver started\n").unwrap();
    let answer = prober.ask(UnitNow::default()).await;
    assert_eq!(answer, ProbeAnswer::yes("its output contains `server started`"));
    assert!(!ask(probe, LONG).await.ok, "without a file there is no line");
}

#[tokio::test]
async fn a_height_is_learned_from_each_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let url = |port: u16| format!("http://127.0.0.1:{port}/?token=hunter2");
    let pointer = || "/a/height".to_owned();
    let json = r#"{"a":{"height":"1200"}}"#;
    let exec = |script: &str, pointer: Option<String>| HeightProbe::Exec {
        program: Template::literal("/bin/sh"),
        args: ["-c", script].map(Template::literal).to_vec(),
        pointer,
    };
    for probe in [
        HeightProbe::Http { url: url(server(reply(200, json)).await), pointer: pointer() },
        exec("echo 1200", None),
        exec(&format!("echo '{json}'"), Some(pointer())),
        HeightProbe::File { path: file("plain", "1200\n"), pointer: None },
        HeightProbe::File { path: file("json", json), pointer: Some(pointer()) },
    ] {
        assert_eq!(height(std::slice::from_ref(&probe), &scene(LONG)).await, Ok(Height(1200)), "{probe:?}");
    }
    for probe in [
        HeightProbe::Http { url: url(server(reply(500, json)).await), pointer: pointer() },
        HeightProbe::Http { url: url(refused_port().await), pointer: pointer() },
        exec("exit 1", None),
        exec("true", None),
        exec("echo soon", None),
        HeightProbe::File { path: file("bad", "12x"), pointer: None },
        HeightProbe::File { path: folder.path().join("missing"), pointer: None },
    ] {
        let why = height(std::slice::from_ref(&probe), &scene(LONG)).await.unwrap_err();
        assert!(!why.is_empty() && !why.contains("hunter2"), "{probe:?}: {why}");
    }
    let silent = HeightProbe::Http { url: url(server("").await), pointer: pointer() };
    let late = height(std::slice::from_ref(&silent), &scene(Duration::from_millis(50))).await;
    assert_eq!(late, Err("no answer within 50ms".to_owned()));
    let good = HeightProbe::File { path: file("plain", "1200\n"), pointer: None };
    let bad = HeightProbe::File { path: file("bad", "12x"), pointer: None };
    let all = [silent.clone(), bad.clone(), good];
    assert_eq!(height(&all, &scene(Duration::from_millis(50))).await, Ok(Height(1200)), "the first that answers");
    let why = height(&[silent, bad], &scene(Duration::from_millis(50))).await.unwrap_err();
    assert!(why.contains("no answer within 50ms; ") && why.contains("12x"), "{why}");
}

#[tokio::test]
async fn heights_are_learned_over_grpc_where_nothing_else_answers() {
    let mut service = PlanService::grpc();
    service.say(Says::NoPlan, 300);
    let probe = |method: &str, field: &[u32]| HeightProbe::Grpc {
        call: GrpcCall { address: service.address(), method: method.to_owned() },
        field: field.to_vec(),
    };
    let block = "/cosmos.base.tendermint.v1beta1.Service/GetLatestBlock";
    let refused =
        HeightProbe::Http { url: format!("http://127.0.0.1:{}/", refused_port().await), pointer: "/a".to_owned() };
    let all = [refused, probe(block, &[2, 1, 3])];
    assert_eq!(height(&all, &scene(LONG)).await, Ok(Height(300)));
    for (probe, why) in [
        (probe(block, &[2, 1, 4]), "it has no height"),
        (probe("/somebody.else/Says", &[1]), "answers with gRPC status 12"),
        (probe("/cosmos.upgrade.v1beta1.Query/CurrentPlan", &[1]), "it has no height"),
    ] {
        let told = height(&[probe], &scene(LONG)).await.unwrap_err();
        assert!(told.contains(why), "{told}");
    }
    service.say(Says::NoPlan, u64::MAX);
    assert!(height(&all, &scene(LONG)).await.unwrap_err().contains("its height is below zero"));
    service.stop();
    assert!(height(&all, &scene(LONG)).await.unwrap_err().contains("cannot be reached"));
}

fn release_saying(folder: &Path, script: &str) -> Scene {
    let program = folder.join("node");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Scene { release: folder.to_owned(), ..scene(LONG) }
}

#[tokio::test]
async fn a_release_says_its_version() {
    let places = ov_chains::Places { home: "/", data: None, unit: None, release: true };
    let probe = |pointer: Option<&str>, expect| VersionProbe {
        program: Template::parse("{release}/node", &places).unwrap(),
        args: vec![Template::literal("version")],
        pointer: pointer.map(str::to_owned),
        expect,
    };
    let folder = tempfile::tempdir().unwrap();
    let name = ReleaseName::new("v1.2.0").unwrap();
    let by_name = || probe(None, Expect::ReleaseName);
    let texts = |text: &str| Expect::Texts([(name.clone(), text.to_owned())].into());
    for (script, probe, ok) in [
        ("echo $1 1.2.0", by_name(), true),
        ("echo 1.2.0 >&2", by_name(), true),
        ("echo v1.2.0-rc1", by_name(), false),
        ("exit 1", by_name(), false),
        ("true", by_name(), false),
        (r#"echo '{"v":"1.2.0"}'"#, probe(Some("/v"), Expect::ReleaseName), true),
        (r#"echo '{"v":"1.2.1"}'"#, probe(Some("/v"), Expect::ReleaseName), false),
        ("echo build 77", probe(None, texts("build 77")), true),
        ("echo 1.2.0", probe(None, texts("build 77")), false),
    ] {
        let answer = version(&probe, &name, &release_saying(folder.path(), script)).await;
        assert_eq!(answer.ok, ok, "{script}: {answer:?}");
    }
}
