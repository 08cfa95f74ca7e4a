//! What peers get that are broken, slow, or not allowed to speak.

use super::super::server::{Grant, Peer, STREAMS_MAX, speak};
use super::*;
use tokio::sync::{Notify, Semaphore, watch};

/// Numbers without a pattern, the same in every run.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
}

#[tokio::test(start_paused = true)]
async fn noise_is_hung_up_on_and_leaves_the_server_well() {
    let daemon = Daemon::start().await;
    for seed in 0..300 {
        let len = usize::try_from(seed * 7 % 900).unwrap();
        let mut bytes: Vec<u8> = noise(seed).take(len).collect();
        // Half of it looks like a request for a while.
        if seed % 2 == 0 {
            bytes.splice(0..0, b"POST /v1/plans HTTP/1.1\r\nhost: x\r\n".iter().copied());
        }
        let text = daemon.send(&bytes).await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "seed {seed}: {text}");
    }
    assert_eq!(daemon.ask("GET", "/v1/status", "").await.status, 200);
    daemon.finish().await;
}

#[tokio::test(start_paused = true)]
async fn noise_as_a_body_path_or_query_is_refused_with_a_reason() {
    let daemon = Daemon::start().await;
    for seed in 0..200 {
        let noise: Vec<u8> = noise(seed).take(100).collect();
        let mut request = b"POST /v1/plans HTTP/1.1\r\nconnection: close\r\ncontent-length: 100\r\n\r\n".to_vec();
        request.extend_from_slice(&noise);
        let answer = Answer::read(&daemon.send(&request).await).unwrap();
        assert_eq!((answer.status, answer.refusal().problem.code.as_str()), (400, "OV-API-003"), "seed {seed}");
        let word = noise.iter().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        for path in [format!("/v1/units/{word}/stop"), format!("/v1/doctor?release={word}"), format!("/{word}")] {
            let answer = daemon.ask("GET", &path, "").await;
            assert!((400..500).contains(&answer.status), "seed {seed}: {answer:?}");
            assert_eq!(answer.refusal().problem.state, "nothing was done");
        }
    }
    daemon.finish().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let daemon = Daemon::start().await;
    let huge = "x".repeat(200 * 1024);
    let answer = daemon.ask("POST", "/v1/plans", &huge[..=64 * 1024]).await;
    assert_eq!((answer.status, answer.refusal().problem.code.as_str()), (413, "OV-API-004"));
    // Announced only: it is refused before it is sent.
    let head = "POST /v1/plans HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n";
    assert_eq!(Answer::read(&daemon.send(head.as_bytes()).await).unwrap().status, 413);
    let chunked = format!("POST /v1/plans HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n32000\r\n{huge}\r\n0\r\n\r\n");
    assert_eq!(Answer::read(&daemon.send(chunked.as_bytes()).await).unwrap().status, 413);
    let header = format!("GET /v1/status HTTP/1.1\r\nx: {huge}\r\n\r\n");
    let text = daemon.send(header.as_bytes()).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    let address = format!("GET /{huge} HTTP/1.1\r\n\r\n");
    let text = daemon.send(address.as_bytes()).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    let many = (0..500).map(|index| format!("x-{index}: y\r\n")).collect::<Vec<_>>().concat();
    let text = daemon.send(format!("GET /v1/status HTTP/1.1\r\n{many}\r\n").as_bytes()).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    daemon.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dawdles_is_hung_up_on() {
    let daemon = Daemon::start().await;
    for (sent, expected) in [
        ("", ""),
        ("GET /v1/status HTT", ""),
        ("GET /v1/status HTTP/1.1\r\nhost: x\r\n", ""),
        ("POST /v1/plans HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{", "HTTP/1.1 408"),
        // Idle after a request that was served.
        ("GET /v1/releases HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200"),
    ] {
        let started = tokio::time::Instant::now();
        let text = daemon.send(sent.as_bytes()).await;
        assert!(text.starts_with(expected) && text.is_empty() == expected.is_empty(), "{sent:?}: {text:?}");
        assert!(started.elapsed() <= Duration::from_secs(11), "{sent:?} was waited for {:?}", started.elapsed());
    }
    daemon.finish().await;
}

#[tokio::test(start_paused = true)]
async fn peers_that_dawdle_do_not_keep_others_out_for_long() {
    let daemon = Daemon::start().await;
    let mut dawdlers = Vec::new();
    for _ in 0..100 {
        let mut stream = daemon.connect().await;
        stream.write_all(b"GET /v1/sta").await.unwrap();
        dawdlers.push(stream);
    }
    assert_eq!(daemon.ask("GET", "/v1/status", "").await.status, 200);
    daemon.finish().await;
}

#[tokio::test]
async fn a_foreign_user_is_told_no_and_hung_up_on() {
    let daemon = Daemon::start().await;
    for request in ["GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n", "POST /v1/stop HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_closing, closing) = watch::channel(false);
        let streams = Arc::new(Semaphore::new(1));
        let peer = Peer { grant: Grant::Nothing, streams, closing, hang_up: Notify::new() };
        tokio::spawn(speak(ours, daemon.node.clone(), Arc::new(peer)));
        let answer = Answer::read(&exchange(theirs, request.as_bytes()).await).unwrap();
        assert_eq!((answer.status, answer.refusal().problem.code.as_str()), (403, "OV-API-007"));
    }
    daemon.finish().await;
}

#[tokio::test]
async fn followers_leave_room_for_commands() {
    let daemon = Daemon::start().await;
    let mut followers = Vec::new();
    for _ in 0..STREAMS_MAX {
        let mut stream = daemon.connect().await;
        stream.write_all(b"GET /v1/events?follow=true HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut head = [0; 15];
        timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        followers.push(stream);
    }
    let answer = daemon.ask("GET", "/v1/events?follow=true", "").await;
    assert_eq!((answer.status, answer.refusal().problem.code.as_str()), (503, "OV-API-008"));
    assert_eq!(daemon.ask("GET", "/v1/status", "").await.status, 200);
    daemon.finish().await;
}
