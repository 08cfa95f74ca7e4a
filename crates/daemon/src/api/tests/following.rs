//! Streams of events: nothing skipped, nothing repeated, nobody waited for.

use super::super::events::{HEARTBEAT_MS, UNREAD_MS_MAX};
use super::*;
use crate::event_log::EVENTS_KEPT_MAX;

/// A reader of a stream.
struct Reader {
    stream: UnixStream,
    text: String,
}

impl Reader {
    async fn open(daemon: &Daemon, target: &str, headers: &str) -> Self {
        let mut stream = daemon.connect().await;
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, text: String::new() }
    }

    /// Reads on; false at the end.
    async fn more(&mut self) -> bool {
        let mut piece = vec![0; 16 * 1024];
        let len = timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("nothing comes").unwrap();
        self.text.push_str(std::str::from_utf8(&piece[..len]).unwrap());
        len > 0
    }

    /// Every whole event so far.
    fn events(&self) -> Vec<Value> {
        let whole = self.text.rfind("\n\n").map_or("", |end| &self.text[..end]);
        let data = whole.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    async fn until_len(&mut self, len: usize) -> Vec<Value> {
        while self.events().len() < len {
            assert!(self.more().await, "the stream ended: {}", self.text);
        }
        self.events()
    }
}

fn indices(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["index"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_and_repeats_nothing() {
    let daemon = Daemon::start().await;
    let mut seen = Vec::new();
    let mut pushed = 0;
    for round in 0..20 {
        let since = seen.last().copied().unwrap_or(0);
        // Three ways to say the same.
        let mut reader = match round % 3 {
            0 => Reader::open(&daemon, &format!("/v1/events?follow=true&since={since}"), "").await,
            1 => {
                let accept = "accept: text/event-stream\r\n";
                Reader::open(&daemon, &format!("/v1/events?since={since}"), accept).await
            }
            _ => {
                let last = format!("last-event-id: {since}\r\n");
                Reader::open(&daemon, "/v1/events?follow=true&since=0", &last).await
            }
        };
        // Some are there before the reader asks, some come while it listens, some when nobody listens.
        for _ in 0..=round {
            daemon.push();
        }
        reader.until_len(1).await;
        pushed = daemon.push();
        while indices(&reader.events()).last() != Some(&pushed) {
            assert!(reader.more().await);
        }
        seen.extend(indices(&reader.events()));
        drop(reader);
        pushed = daemon.push();
    }
    let kept = daemon.ask("GET", &format!("/v1/events?since={}", seen.last().unwrap()), "").await.json();
    seen.extend(indices(kept.as_array().unwrap()));
    assert_eq!(seen, (1..=pushed).collect::<Vec<_>>());
    daemon.finish().await;
}

#[tokio::test]
async fn the_id_of_each_piece_is_its_index() {
    let daemon = Daemon::start().await;
    let index = daemon.push();
    let mut reader = Reader::open(&daemon, "/v1/events?follow=true", "").await;
    reader.until_len(1).await;
    assert!(reader.text.to_lowercase().contains("content-type: text/event-stream\r\n"));
    assert!(reader.text.contains(&format!("id: {index}\ndata: {{\"index\":{index},")), "{}", reader.text);
    daemon.finish().await;
}

#[tokio::test]
async fn progress_has_no_number_of_its_own_and_is_not_kept() {
    let daemon = Daemon::start().await;
    let index = daemon.push();
    let mut reader = Reader::open(&daemon, "/v1/events?follow=true", "").await;
    reader.until_len(1).await;
    for done in [1, 2] {
        let (work, of) = (ov_types::Work::Download, "release v2".to_owned());
        let kind = ov_types::EventKind::Progress { work, of, done, total: None, rate: 0 };
        daemon.node.events.tell_progress(kind, ov_types::Moment::default());
    }
    // Of the two, the first may have been left out.
    while reader.events().last().unwrap()["done"] != 2 {
        assert!(reader.more().await, "the stream ended: {}", reader.text);
    }
    let next = daemon.push();
    while reader.events().last().unwrap()["index"] != next {
        assert!(reader.more().await, "the stream ended: {}", reader.text);
    }
    let told = reader.events();
    assert!(told.iter().filter(|event| event["event"] == "progress").all(|event| event["index"] == index));
    assert_eq!(reader.text.matches("id: ").count(), 2, "{}", reader.text);
    let kept = daemon.ask("GET", "/v1/events?since=0", "").await.json();
    assert_eq!(indices(kept.as_array().unwrap()), [index, next]);
    daemon.finish().await;
}

#[tokio::test]
async fn newest_means_what_is_yet_to_come() {
    let daemon = Daemon::start().await;
    daemon.push();
    assert_eq!(daemon.ask("GET", "/v1/events?since=newest", "").await.json(), serde_json::json!([]));
    let mut reader = Reader::open(&daemon, "/v1/events?follow=true&since=newest", "").await;
    assert!(reader.more().await);
    let index = daemon.push();
    assert_eq!(indices(&reader.until_len(1).await), [index]);
    daemon.finish().await;
}

#[tokio::test]
async fn a_reader_that_fell_behind_is_told_what_it_missed() {
    let daemon = Daemon::start().await;
    let mut reader = Reader::open(&daemon, "/v1/events?follow=true&since=0", "").await;
    daemon.push();
    assert_eq!(indices(&reader.until_len(1).await), [1]);
    // Nobody reads while more happens than the log and the socket hold.
    for _ in 0..EVENTS_KEPT_MAX * 8 {
        daemon.push();
        if daemon.node.events.newest() % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let newest = daemon.node.events.newest();
    while indices(&reader.events()).last() != Some(&newest) {
        assert!(reader.more().await);
    }
    let events = reader.events();
    let mut missed = 0;
    for pair in events.windows(2) {
        let (before, after) = (pair[0]["index"].as_u64().unwrap(), pair[1]["index"].as_u64().unwrap());
        if pair[1]["event"] == "events-missed" {
            missed += 1;
            assert!(before < after && pair[1]["oldest"] == after + 1);
        } else {
            assert_eq!(after, before + 1, "a gap that was not told");
        }
    }
    assert!(missed > 0, "nothing was missed: the test pushed too little");
    daemon.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_shows_that_it_lives() {
    let daemon = Daemon::start().await;
    let started = tokio::time::Instant::now();
    let mut reader = Reader::open(&daemon, "/v1/events?follow=true", "").await;
    while reader.text.matches("\n:\n").count() < 3 {
        assert!(reader.more().await);
    }
    assert!(started.elapsed() >= Duration::from_millis(3 * HEARTBEAT_MS));
    daemon.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_never_reads_is_hung_up_on() {
    let daemon = Daemon::start().await;
    let mut reader = Reader::open(&daemon, "/v1/events?follow=true", "").await;
    for _ in 0..EVENTS_KEPT_MAX {
        daemon.push();
    }
    // Once the stream is given up, what the socket holds can be read, and then it ends.
    tokio::time::sleep(Duration::from_millis(2 * UNREAD_MS_MAX)).await;
    while reader.more().await {}
    let events = reader.events();
    assert!(events.len() < EVENTS_KEPT_MAX, "the socket held all {} events", events.len());
    daemon.finish().await;
}

#[tokio::test]
async fn the_last_event_is_sent_before_the_end() {
    let mut daemon = Daemon::start().await;
    let mut reader = Reader::open(&daemon, "/v1/events?follow=true", "").await;
    assert!(reader.more().await);
    let last = daemon.push();
    drop(daemon.stop.take());
    while reader.more().await {}
    assert_eq!(indices(&reader.events()), [last]);
    assert!(reader.text.ends_with("0\r\n\r\n"), "the stream was cut off: {:?}", reader.text);
    daemon.finish().await;
}
