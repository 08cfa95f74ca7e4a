//! Downloads that break off, stall, change under way, or meet servers that know no parts.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ov_release::Digest;
use ov_release::fetch::{FetchError, FetchRequest, Patience};
use ov_types::{Lasting, Span};

use super::bench::{Bench, from, patience, whole};
use ov_testkit::{Question, Reply, Server};

/// Bytes that are different everywhere.
fn body(seed: u32) -> Arc<Vec<u8>> {
    let numbers = (0..50_000_u32).map(|number| number.wrapping_add(seed).wrapping_mul(2_654_435_761));
    Arc::new(numbers.flat_map(u32::to_le_bytes).collect())
}

/// Answers question `n` with what the function gives, over these bytes.
fn server(answer: impl Fn(&Question, usize, &[u8]) -> Reply + Send + Sync + 'static) -> (Server, Arc<Vec<u8>>) {
    let bytes = body(0);
    let same = Arc::clone(&bytes);
    (Server::new(move |question, number| answer(question, number, &same)), bytes)
}

/// From which byte on each question asked; from zero if it asked for everything.
fn ranges(server: &Server) -> Vec<usize> {
    let from = |range: &str| range["bytes=".len()..].trim_end_matches('-').parse().unwrap();
    server.asked().iter().map(|asked| asked.header("range").map_or(0, from)).collect()
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let (server, expected) = server(|question, number, body| match number {
        0 => Reply::file(question, body, "\"1\"").cut(70_000),
        1 => Reply::file(question, body, "\"1\"").cut(30_000),
        _ => Reply::file(question, body, "\"1\""),
    });
    let bench = Bench::new();
    bench.fetch(&from(&[server.url("/node")])).unwrap();
    assert_eq!(bench.program("v1"), *expected);
    assert_eq!(ranges(&server), [0, 70_000, 100_000]);
    assert_eq!(server.asked()[1].header("if-range"), Some("\"1\""));
}

#[test]
fn a_later_fetch_goes_on_with_what_an_earlier_one_brought() {
    let (server, expected) = server(|question, number, body| match number {
        0 => Reply::file(question, body, "\"1\"").cut(70_000),
        1 => Reply::status(404),
        _ => Reply::file(question, body, "\"1\""),
    });
    let bench = Bench::new();
    let request = from(&[server.url("/node")]);
    assert!(bench.fetch(&request).is_err());
    assert_eq!(bench.names(), [".fetching-v1"]);
    bench.fetch(&request).unwrap();
    assert_eq!(bench.program("v1"), *expected);
    assert_eq!(ranges(&server), [0, 70_000, 70_000]);
    assert_eq!(bench.names(), ["v1", "v1.release.json"]);
}

#[test]
fn servers_that_know_no_parts_send_everything_again() {
    let (server, expected) = server(|_, number, body| match number {
        0 => Reply::whole(body).with("etag: \"1\"").cut(70_000),
        _ => Reply::whole(body).with("etag: \"1\""),
    });
    let bench = Bench::new();
    bench.fetch(&from(&[server.url("/node")])).unwrap();
    assert_eq!(bench.program("v1"), *expected);
    assert_eq!(ranges(&server), [0, 70_000]);
}

#[test]
fn a_file_that_changes_under_way_is_fetched_from_its_beginning() {
    let newer = body(7);
    // Honest servers send the new file whole; others send a part of it as if nothing had happened.
    for honest in [true, false] {
        let new = Arc::clone(&newer);
        let (server, _) = server(move |question, number, body| match (number, honest) {
            (0, _) => Reply::file(question, body, "\"old\"").cut(70_000),
            (1, false) => Reply::part(&new, 70_000).with("etag: \"new\""),
            _ => Reply::file(question, &new, "\"new\""),
        });
        let bench = Bench::new();
        bench.fetch(&from(&[server.url("/node")])).unwrap();
        assert_eq!(bench.program("v1"), *newer, "honest: {honest}");
        assert_eq!(ranges(&server).last(), Some(&if honest { 70_000 } else { 0 }));
    }
}

#[test]
fn parts_that_do_not_fit_are_not_joined() {
    type Answer = fn(&[u8]) -> Reply;
    let wrong: [Answer; 5] = [
        |body| Reply::part(body, 69_999).with("etag: \"1\""),
        |body| Reply::raw("HTTP/1.1 206 Partial\r\ncontent-length: 1\r\n", &body[..1]),
        |_| Reply::raw("HTTP/1.1 206 Partial\r\ncontent-length: 1\r\ncontent-range: bytes 70000-70000/70001\r\n", b"x"),
        |_| Reply::raw("HTTP/1.1 206 Partial\r\ncontent-length: 1\r\ncontent-range: nonsense\r\n", b"x"),
        |_| Reply::status(416),
    ];
    for answer in wrong {
        let (server, expected) = server(move |question, number, body| match number {
            0 => Reply::file(question, body, "\"1\"").cut(70_000),
            1 => answer(body),
            _ => Reply::file(question, body, "\"1\""),
        });
        let bench = Bench::new();
        bench.fetch(&from(&[server.url("/node")])).unwrap();
        assert_eq!(bench.program("v1"), *expected);
        assert_eq!(ranges(&server), [0, 70_000, 0]);
    }
}

#[test]
fn without_a_version_parts_are_joined_only_if_a_checksum_will_tell() {
    let reply = |question: &Question, body: &[u8]| match question.header("range") {
        None => Reply::whole(body),
        Some(_) => Reply::part(body, 70_000),
    };
    for weak in [false, true] {
        let tag = if weak { "etag: W/\"1\"" } else { "server: none" };
        let (server, expected) = server(move |question, number, body| match number {
            0 => reply(question, body).with(tag).cut(70_000),
            _ => reply(question, body).with(tag),
        });
        let bench = Bench::new();
        bench.fetch(&from(&[server.url("/node")])).unwrap();
        assert_eq!(ranges(&server), [0, 0]);
        let digest = Digest::of(&expected);
        let checked = Bench::new();
        let (server, _) = self::server(move |question, number, body| match number {
            0 => reply(question, body).with(tag).cut(70_000),
            _ => reply(question, body).with(tag),
        });
        checked.fetch(&from(&[server.url(&format!("/node?checksum={digest}"))])).unwrap();
        assert_eq!(ranges(&server), [0, 70_000]);
        assert_eq!(checked.program("v1"), *expected);
    }
}

#[test]
fn wrong_bytes_that_came_in_pieces_are_fetched_once_more_in_one() {
    let other = body(9);
    let expected = body(0);
    let digest = Digest::of(&expected);
    let (server, _) = server(move |question, number, body| match number {
        0 => Reply::whole(&other).cut(70_000),
        1 => Reply::part(body, 70_000),
        _ => Reply::file(question, body, "\"1\""),
    });
    let bench = Bench::new();
    bench.fetch(&from(&[server.url(&format!("/node?checksum=sha256:{digest}"))])).unwrap();
    assert_eq!(bench.program("v1"), *expected);
    assert_eq!(ranges(&server), [0, 70_000, 0]);
}

#[test]
fn silence_is_not_waited_for() {
    let (server, expected) = server(|question, number, body| match number {
        0 => Reply::file(question, body, "\"1\"").stalled(70_000),
        1 => Reply::raw("", b"").stalled(0),
        _ => Reply::file(question, body, "\"1\""),
    });
    let bench = Bench::new();
    bench.fetch(&from(&[server.url("/node")])).unwrap();
    assert_eq!(bench.program("v1"), *expected);
    assert_eq!(ranges(&server)[1], 70_000);
}

#[test]
fn failures_that_may_pass_are_tried_again_so_often_and_no_oftener() {
    for (status, pause) in [(408, 100_000), (429, 0), (500, 100_000), (502, 100_000), (503, 100_000), (504, 100_000)] {
        let (server, expected) = server(move |question, number, body| match number {
            0..2 => Reply::status(status).with(&format!("retry-after: {pause}")),
            _ => Reply::file(question, body, "\"1\""),
        });
        let bench = Bench::new();
        bench.fetch(&from(&[server.url("/node")])).unwrap();
        assert_eq!((bench.program("v1"), server.asked().len()), (expected.to_vec(), 3), "{status}");
    }
    let (server, _) = server(|_, _, _| Reply::status(503));
    let error = Bench::new().fetch(&from(&[server.url("/node")])).unwrap_err();
    assert_eq!((server.asked().len(), error.lasting(), error.until_ms()), (4, Lasting::Transient, None));
}

#[test]
fn a_limit_that_lasts_is_told_and_not_waited_for() {
    let (server, _) = server(|_, _, _| Reply::status(429).with("retry-after: 100000"));
    let error = Bench::new().fetch(&from(&[server.url("/node")])).unwrap_err();
    assert_eq!((server.asked().len(), error.lasting()), (1, Lasting::Transient), "there is no use in asking");
    assert!(error.until_ms().is_some());
}

#[test]
fn a_body_that_always_ends_early_is_given_up() {
    let (server, _) = server(|_, _, body| Reply::whole(body).cut(10));
    let error = Bench::new().fetch(&from(&[server.url("/node")])).unwrap_err();
    assert!(whole(&error).contains("read the answer: "), "{}", whole(&error));
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn the_whole_takes_no_longer_than_it_may() {
    let (server, _) = server(|question, _, body| {
        let from = question.header("range").map_or(0, |range| range[6..range.len() - 1].parse().unwrap());
        let reply = if from == 0 { Reply::whole(body) } else { Reply::part(body, from) };
        reply.with("etag: \"1\"").cut(1)
    });
    let total = Span::from_ms(300);
    let request = FetchRequest { patience: Patience { total, ..patience() }, ..from(&[server.url("/node")]) };
    let began = Instant::now();
    let error = Bench::new().fetch(&request).unwrap_err();
    assert_eq!(error.lasting(), Lasting::Transient, "{}", whole(&error));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(server.asked().len() > 4, "progress, however little, brings new tries");
}

#[test]
fn a_fetch_that_is_called_off_ends_at_once_and_can_be_gone_on_with() {
    let (server, expected) = server(|question, number, body| match number {
        0 => Reply::file(question, body, "\"1\"").cut(70_000).stalled(70_000),
        _ => Reply::file(question, body, "\"1\""),
    });
    let bench = Bench::new();
    let request = from(&[server.url("/node")]);
    let error = std::thread::scope(|scope| {
        let fetching = scope.spawn(|| bench.fetch(&request).unwrap_err());
        while server.asked().is_empty() {
            std::thread::yield_now();
        }
        bench.cancel.cancel();
        fetching.join().unwrap()
    });
    assert!(error.is_cancelled(), "{}", whole(&error));
    assert!(matches!(error, FetchError::Download { .. }));
    let again = Bench { cancel: ov_release::fetch::Cancel::default(), ..bench };
    again.fetch(&request).unwrap();
    assert_eq!(again.program("v1"), *expected);
}
