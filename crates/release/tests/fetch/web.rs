//! Over the network, when all goes well or cannot go well at all.

use ov_release::fetch::{FetchRequest, HttpTransport, Limits, Phase, Silence};
use ov_release::{Digest, ReleaseError};
use ov_types::Lasting;

use super::archives::gzip;
use super::bench::{Bench, from, patience, whole};
use ov_testkit::{Reply, Server};

const PROGRAM: &[u8] = b"the program";

#[test]
fn what_is_fetched_is_a_release_that_says_where_it_came_from() {
    let bench = Bench::new();
    let server = Server::new(|question, _| Reply::file(question, PROGRAM, "\"1\""));
    let url = server.url("/dl/node?token=hunter2").replace("http://", "http://me:hunter2@");
    let staged = bench.fetch(&from(std::slice::from_ref(&url))).unwrap();
    assert!(staged.changed);
    assert_eq!(bench.program("v1"), PROGRAM);
    let fetched = staged.provenance.fetched.as_ref().unwrap();
    assert_eq!((fetched.address.clone(), fetched.size), (server.url("/dl/node"), 11));
    assert_eq!((fetched.sha256, &fetched.checksum, &fetched.signer), (Digest::of(PROGRAM), &None, &None));
    assert_eq!(staged.provenance.source, server.url("/dl/node"));
    let text = std::fs::read_to_string(bench.layout.provenance(&staged.provenance.name)).unwrap();
    assert!(!text.contains("hunter2"), "{text}");

    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/dl/node?token=hunter2");
    assert_eq!(asked[0].header("authorization"), Some("Basic bWU6aHVudGVyMg=="));
    assert_eq!(asked[0].header("accept-encoding"), Some("identity"));

    assert!(!bench.fetch(&from(&[url])).unwrap().changed);
    assert_eq!(server.asked().len(), 1, "what is there is not fetched again");
    let other = from(&[server.url("/other")]);
    assert!(matches!(bench.fetch(&other), Err(error) if error.to_string().contains("with other contents")));
}

#[test]
fn progress_begins_grows_and_ends() {
    let bench = Bench::new();
    let server = Server::new(|_, _| Reply::whole(&gzip(&vec![7; 300_000])));
    bench.fetch(&from(&[server.url("/node.gz")])).unwrap();
    let told = bench.progress.lock().unwrap().clone();
    for phase in [Phase::Downloading, Phase::Unpacking] {
        let told: Vec<_> = told.iter().filter(|progress| progress.phase == phase).collect();
        assert!(told.windows(2).all(|pair| pair[0].done <= pair[1].done), "{told:?}");
        let last = told.last().unwrap();
        assert_eq!((told[0].done, Some(last.done)), (0, last.total), "{told:?}");
    }
}

#[test]
fn redirects_are_followed_but_not_for_ever_and_the_word_of_other_tools_is_ignored() {
    let bench = Bench::new();
    let server = Server::new(|question, _| match question.path.as_str() {
        "/a" => Reply::status(302).with("location: /b").with("x-terraform-get: git::https://a.example/x"),
        "/b" => Reply::status(307).with("location: /c"),
        "/loop" => Reply::status(302).with("location: /loop"),
        _ => Reply::whole(PROGRAM).with("x-terraform-get: /etc/passwd"),
    });
    bench.fetch(&from(&[server.url("/a")])).unwrap();
    assert_eq!(bench.program("v1"), PROGRAM);

    let error = Bench::new().fetch(&from(&[server.url("/loop")])).unwrap_err();
    assert!(whole(&error).ends_with("it redirects more than ten times"), "{}", whole(&error));
    assert_eq!(server.asked().iter().filter(|asked| asked.path == "/loop").count(), 11, "once is enough");
}

#[test]
fn a_refusal_is_believed_at_once() {
    for status in [400, 401, 403, 404, 410, 501, 204] {
        let server = Server::new(move |_, _| Reply::status(status));
        let bench = Bench::new();
        let error = bench.fetch(&from(&[server.url("/node")])).unwrap_err();
        let expected = format!("fetch {}: get it: the server answers with status {status}", server.url("/node"));
        assert_eq!((whole(&error), error.lasting()), (expected, Lasting::Permanent));
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn encodings_of_the_way_are_not_undone() {
    let bench = Bench::new();
    let bytes = gzip(PROGRAM);
    let digest = Digest::of(&bytes);
    let server = Server::new(move |_, _| Reply::whole(&bytes).with("content-encoding: gzip"));
    let staged = bench.fetch(&from(&[server.url(&format!("/node.gz?checksum=sha256:{digest}"))])).unwrap();
    assert_eq!(bench.program("v1"), PROGRAM);
    assert_eq!(staged.provenance.fetched.unwrap().sha256, digest);
}

fn with_limit(address: String, download_bytes_max: u64) -> FetchRequest {
    FetchRequest { limits: Limits { download_bytes_max, ..Limits::default() }, ..from(&[address]) }
}

#[test]
fn what_is_too_large_is_refused_by_its_announcement_or_by_its_bytes() {
    let server = Server::new(|question, _| match question.path.as_str() {
        "/lie" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n", b"x"),
        "/chunks" => {
            Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", b"5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n")
        }
        _ => Reply::whole(PROGRAM),
    });
    for (path, allowed, expected) in [
        ("/lie", 8 << 30, "accept 99999999999999 bytes: at most 8589934592 are"),
        ("/lie", u64::MAX, "find room for it: it needs 100000016777215 bytes"),
        ("/chunks", 7, "accept 10 bytes: at most 7 are"),
        ("/node", 10, "accept 11 bytes: at most 10 are"),
    ] {
        let bench = Bench::new();
        let error = bench.fetch(&with_limit(server.url(path), allowed)).unwrap_err();
        assert!(whole(&error).contains(expected), "{}", whole(&error));
        assert!(bench.names().iter().all(|name| name.starts_with(".fetching")), "{:?}", bench.names());
    }
    let bench = Bench::new();
    bench.fetch(&with_limit(server.url("/chunks"), 10)).unwrap();
    assert_eq!(bench.program("v1"), b"1234512345");
}

#[test]
fn mirrors_serve_where_the_first_address_does_not() {
    let server = Server::new(|question, _| match question.path.as_str() {
        "/good" => Reply::whole(PROGRAM),
        "/bad" => Reply::whole(b"something else"),
        _ => Reply::status(404),
    });
    let sha256 = Digest::of(PROGRAM);
    let at = |path: &str| server.url(&format!("{path}?checksum={sha256}").replace("sha256:", ""));
    let bench = Bench::new();
    let staged = bench.fetch(&from(&[at("/missing"), at("/bad"), at("/good")])).unwrap();
    assert_eq!(staged.provenance.fetched.unwrap().address, server.url("/good"));

    let bench = Bench::new();
    let error = bench.fetch(&from(&[at("/missing"), at("/bad")])).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("fetch release `v1` from any of its addresses: fetch http://"), "{text}");
    assert!(text.contains("status 404; Checksums did not match for"), "{text}");
    assert!(bench.names().is_empty());
    let none = bench.fetch(&from(&[])).unwrap_err();
    assert_eq!(none.to_string(), "fetch release `v1`: it has no address");
}

#[test]
fn object_stores_get_signed_questions_and_keep_no_keys() {
    let server = Server::new(|_, _| Reply::whole(PROGRAM));
    let bench = Bench::new();
    let keys = "aws_access_key_id=me&aws_access_key_secret=hunter2&region=here";
    let staged = bench.fetch(&from(&[format!("s3::{}?{keys}", server.url("/bucket/node"))])).unwrap();
    let asked = server.asked();
    assert_eq!(asked[0].path, "/bucket/node");
    let authorization = asked[0].header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=me/"), "{authorization}");
    assert_eq!(staged.provenance.fetched.unwrap().address, server.url("/bucket/node"));
}

#[test]
fn a_name_that_nobody_has_is_a_failure_that_may_pass() {
    let bench = Bench::new();
    let request = FetchRequest {
        patience: ov_release::fetch::Patience { tries: 2, ..patience() },
        ..from(&["http://127.0.0.1:1/node".to_owned()])
    };
    let error = bench.fetch(&request).unwrap_err();
    assert!(whole(&error).contains("reach the server: "), "{}", whole(&error));
    assert_eq!(error.lasting(), Lasting::Transient);
}

#[test]
fn the_program_lies_in_the_release() {
    let bench = Bench::new();
    for program in ["../node", "/bin/sh", ""] {
        let request = FetchRequest { program: program.to_owned(), ..from(&["/srv/node".to_owned()]) };
        let error = bench.fetch(&request).unwrap_err();
        assert!(matches!(error, ov_release::fetch::FetchError::Release(ReleaseError::Unfit { .. })), "{error}");
    }
}

/// What the test above this process says, if it was started by one.
const PROXIED: &str = "OV_TEST_PROXIED_ADDRESS";

#[test]
fn proxies_are_those_of_the_usual_variables() {
    if let Ok(address) = std::env::var(PROXIED) {
        let bench = Bench::new();
        bench.fetch(&from(&[address])).unwrap();
        assert_eq!(bench.program("v1"), PROGRAM);
        return;
    }
    let proxy = Server::new(|_, _| Reply::whole(PROGRAM));
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fetch::web::proxies_are_those_of_the_usual_variables"])
        .env(PROXIED, "http://nobody.invalid/node")
        .env("http_proxy", &proxy.address)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(proxy.asked()[0].path, "http://nobody.invalid/node");
}

/// As the daemon uses it: on threads that its runtime lends, and dropped in a task.
#[test]
fn a_transport_works_beside_another_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let server = Server::new(|_, _| Reply::whole(PROGRAM));
    let request = from(&[server.url("/node")]);
    runtime.block_on(async {
        let transport = HttpTransport::new(Silence::default());
        let fetching = tokio::task::spawn_blocking({
            let transport = transport.clone();
            move || {
                let bench = Bench::new();
                bench.fetch_by(&transport, &request).map(|_| bench.program("v1"))
            }
        });
        assert_eq!(fetching.await.unwrap().unwrap(), PROGRAM);
        drop(transport);
    });
}
