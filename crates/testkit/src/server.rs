//! A web server that answers as a test wants it, byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A question that came.
#[derive(Debug, Clone)]
pub struct Question {
    /// The path that was asked for, with its query.
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Question {
    /// One of its headers, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn range_from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// An answer: its head, what of its body is sent, and what happens then.
#[derive(Debug)]
pub struct Reply {
    head: String,
    body: Vec<u8>,
    stalls: bool,
}

impl Reply {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self::raw(&format!("HTTP/1.1 {status} Any\r\ncontent-length: 0\r\n"), b"")
    }

    /// A head without its empty line, and a body.
    pub fn raw(head: &str, body: &[u8]) -> Self {
        Self { head: head.to_owned(), body: body.to_vec(), stalls: false }
    }

    /// All of it.
    pub fn whole(body: &[u8]) -> Self {
        Self::raw(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len()), body)
    }

    /// As an honest server with this version of a file answers, parts included.
    pub fn file(question: &Question, body: &[u8], etag: &str) -> Self {
        let is_same = question.header("if-range").is_none_or(|tag| tag == etag);
        let reply = match question.range_from().filter(|from| is_same && *from < body.len()) {
            None => Self::whole(body),
            Some(from) => Self::part(body, from),
        };
        reply.with(&format!("etag: {etag}"))
    }

    /// The rest of it, from there on.
    pub fn part(body: &[u8], from: usize) -> Self {
        let (len, last) = (body.len(), body.len() - 1);
        let head = format!(
            "HTTP/1.1 206 Partial\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{last}/{len}\r\n",
            len - from
        );
        Self::raw(&head, &body[from..])
    }

    /// One header more.
    #[must_use]
    pub fn with(mut self, header: &str) -> Self {
        self.head.push_str(header);
        self.head.push_str("\r\n");
        self
    }

    /// Ends the connection behind these bytes of the body, whatever was announced.
    #[must_use]
    pub fn cut(mut self, len: usize) -> Self {
        self.body.truncate(len);
        self
    }

    /// Says nothing more behind these bytes of the body, until the client has enough of it.
    #[must_use]
    pub fn stalled(self, len: usize) -> Self {
        Self { stalls: true, ..self.cut(len) }
    }
}

type Answerer = dyn Fn(&Question, usize) -> Reply + Send + Sync;

/// A server on the loopback, until it is dropped.
pub struct Server {
    /// Its address, without a path.
    pub address: String,
    asked: Arc<Mutex<Vec<Question>>>,
    is_over: Arc<AtomicBool>,
    port: u16,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers the n-th question, counted from zero, with what `answer` gives.
    pub fn new(answer: impl Fn(&Question, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::at(0, answer)
    }

    /// The same at a port where nobody listens.
    pub fn at(port: u16, answer: impl Fn(&Question, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, over, answer) =
            (Arc::clone(&asked), Arc::clone(&is_over), Arc::<Answerer>::from(Box::new(answer) as Box<Answerer>));
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // A client that leaves early is what many of the tests are about.
                std::thread::spawn(move || stream.and_then(|stream| converse(stream, &seen, &*answer)));
            }
        });
        let address = format!("http://127.0.0.1:{port}");
        Self { address, asked, is_over, port, acceptor: Some(acceptor) }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// What was asked so far, in order.
    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.acceptor.take().map(JoinHandle::join);
    }
}

fn converse(stream: TcpStream, seen: &Mutex<Vec<Question>>, answer: &Answerer) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let Some(first) = lines.first() else { return Ok(()) };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let header = |line: &String| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    };
    let question = Question { path, headers: lines.iter().skip(1).filter_map(header).collect() };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(question.clone());
        seen.len() - 1
    };
    let reply = answer(&question, number);
    let mut stream = stream;
    stream.write_all(format!("{}connection: close\r\n\r\n", reply.head).as_bytes())?;
    stream.write_all(&reply.body)?;
    stream.flush()?;
    if reply.stalls {
        let _ = stream.read(&mut [0; 1]);
    }
    Ok(())
}
