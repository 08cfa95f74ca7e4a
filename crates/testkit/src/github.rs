//! A repository at a GitHub of the test's own: its API at one address, and the bytes of its files at another.
//!
//! It answers what is asked of releases there and nothing else, page by page, and misbehaves when told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::{Question, Reply, Server};

/// A file of a release.
#[derive(Debug, Clone, Default)]
pub struct Asset {
    /// What it is called.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// What the API says that it comes to, such as `sha256:…`.
    pub digest: Option<String>,
    /// Whether its upload is not over.
    pub is_unfinished: bool,
}

impl Asset {
    /// A file of which the API says nothing more.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), bytes: bytes.to_vec(), ..Self::default() }
    }
}

/// What the server does in the place of an answer.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Answers with this status.
    Status(u16),
    /// Says that no more may be asked before this second since 1970.
    LimitedUntil(u64),
    /// Says that no more may be asked for so many seconds.
    LimitedFor(u64),
    /// Ends the connection behind so many bytes of the body.
    Cut(usize),
    /// Answers with this text.
    Text(String),
}

#[derive(Debug)]
struct Release {
    tag: String,
    is_draft: bool,
    assets: Vec<Asset>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest comes first.
    releases: Vec<Release>,
    /// Whether a release can be asked for by its tag.
    knows_tags: bool,
    page_lines: usize,
    /// Who is not asked with this is nobody that may see the repository.
    token: Option<String>,
    of_api: VecDeque<Trouble>,
    of_store: VecDeque<Trouble>,
}

/// The repository `owner/node` at such a GitHub.
#[derive(Debug)]
pub struct GitHubServer {
    state: Arc<Mutex<State>>,
    api: Server,
    store: Server,
}

impl Default for GitHubServer {
    fn default() -> Self {
        let state = State { knows_tags: true, page_lines: 100, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let of_store = Arc::clone(&state);
        let store = Server::new(move |question, _| serve_bytes(&mut of_store.lock().unwrap(), question));
        let (of_api, bytes_at) = (Arc::clone(&state), store.address.clone());
        let api = Server::new(move |question, _| answer(&mut of_api.lock().unwrap(), question, &bytes_at));
        Self { state, api, store }
    }
}

impl GitHubServer {
    /// The address of the API.
    pub fn address(&self) -> &str {
        &self.api.address
    }

    /// Publishes a release; it is the newest then.
    pub fn publish(&self, tag: &str, assets: &[Asset]) {
        self.put(Release { tag: tag.to_owned(), is_draft: false, assets: assets.to_vec() });
    }

    /// Prepares one that is not published.
    pub fn draft(&self, tag: &str, assets: &[Asset]) {
        self.put(Release { tag: tag.to_owned(), is_draft: true, assets: assets.to_vec() });
    }

    fn put(&self, release: Release) {
        let mut state = self.state.lock().unwrap();
        state.releases.retain(|there| there.tag != release.tag);
        state.releases.insert(0, release);
    }

    /// From now on no page has more lines than this.
    pub fn shorten_pages(&self, lines: usize) {
        self.state.lock().unwrap().page_lines = lines;
    }

    /// From now on nothing can be asked for by its tag.
    pub fn forget_tags(&self) {
        self.state.lock().unwrap().knows_tags = false;
    }

    /// From now on only who has this token sees anything.
    pub fn lock(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.to_owned());
    }

    /// The next questions to the API end like this, one each.
    pub fn trouble(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.state.lock().unwrap().of_api.extend(troubles);
    }

    /// The next questions for bytes end like this, one each.
    pub fn trouble_with_bytes(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.state.lock().unwrap().of_store.extend(troubles);
    }

    /// What the API was asked.
    pub fn asked(&self) -> Vec<Question> {
        self.api.asked()
    }

    /// What was asked where the bytes are.
    pub fn asked_for_bytes(&self) -> Vec<Question> {
        self.store.asked()
    }
}

/// Files are asked for by the number of their release and their own, as one.
const FILES_MAX: usize = 1_000;

fn answer(state: &mut State, question: &Question, bytes_at: &str) -> Reply {
    if let Some(trouble) = state.of_api.pop_front() {
        return troubled(trouble, b"");
    }
    let expected = state.token.as_ref().map(|token| format!("Bearer {token}"));
    if expected.is_some() && question.header("authorization") != expected.as_deref() {
        return Reply::status(404);
    }
    let (path, query) = question.path.split_once('?').unwrap_or((&question.path, ""));
    let Some(path) = path.strip_prefix("/repos/owner/node") else { return Reply::status(404) };
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let releases = || state.releases.iter().enumerate().map(|(at, release)| shown(state, at, release)).collect();
    match parts[..] {
        [] => json_reply(&json!({ "full_name": "owner/node" })).with("x-ratelimit-remaining: 57"),
        ["releases"] => page(state, releases(), path, query),
        ["releases", "tags", tag] => {
            let tag = tag.replace("%2B", "+").replace("%2F", "/");
            let found = state.releases.iter().position(|release| release.tag == tag && !release.is_draft);
            match found.filter(|_| state.knows_tags) {
                Some(at) => json_reply(&shown(state, at, &state.releases[at])),
                None => Reply::status(404),
            }
        }
        ["releases", "assets", id] => {
            let wants_bytes = question.header("accept") == Some("application/octet-stream");
            match file(state, id).filter(|_| wants_bytes) {
                Some(_) => Reply::status(302).with(&format!("location: {bytes_at}/bytes/{id}?signed=hunter2")),
                None => Reply::status(404),
            }
        }
        ["releases", id, "assets"] => match release(state, id) {
            Some(found) => page(state, files_of(found, id), path, query),
            None => Reply::status(404),
        },
        _ => Reply::status(404),
    }
}

fn serve_bytes(state: &mut State, question: &Question) -> Reply {
    let id = question.path.trim_start_matches("/bytes/").split('?').next().unwrap_or_default();
    let Some(asset) = file(state, id) else { return Reply::status(404) };
    let (bytes, tag) = (asset.bytes.clone(), format!("\"{id}\""));
    match state.of_store.pop_front() {
        Some(trouble) => troubled(trouble, &bytes).with(&format!("etag: {tag}")),
        None => Reply::file(question, &bytes, &tag),
    }
}

fn troubled(trouble: Trouble, bytes: &[u8]) -> Reply {
    match trouble {
        Trouble::Status(status) => Reply::status(status),
        Trouble::LimitedUntil(second) => {
            Reply::status(403).with("x-ratelimit-remaining: 0").with(&format!("x-ratelimit-reset: {second}"))
        }
        Trouble::LimitedFor(seconds) => Reply::status(429).with(&format!("retry-after: {seconds}")),
        Trouble::Cut(len) => Reply::whole(bytes).cut(len),
        Trouble::Text(text) => Reply::whole(text.as_bytes()),
    }
}

fn json_reply(value: &Value) -> Reply {
    Reply::whole(value.to_string().as_bytes()).with("content-type: application/json; charset=utf-8")
}

/// One page of a list, with the way to the next.
fn page(state: &State, lines: Vec<Value>, path: &str, query: &str) -> Reply {
    let number = |name: &str, otherwise: usize| {
        let found = query.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name);
        found.and_then(|(_, value)| value.parse().ok()).unwrap_or(otherwise)
    };
    let (page, per_page) = (number("page", 1).max(1), number("per_page", 30).min(state.page_lines).min(100));
    let all = lines.len();
    let lines: Vec<Value> = lines.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    let reply = json_reply(&Value::Array(lines));
    if page * per_page >= all {
        return reply;
    }
    let at = |page: usize| format!("<https://api.github.com/repos/owner/node{path}?page={page}>");
    reply.with(&format!("link: {}; rel=\"next\", {}; rel=\"last\"", at(page + 1), at(all.div_ceil(per_page))))
}

/// Numbers that stay when others are published.
fn id_of(state: &State, at: usize) -> usize {
    state.releases.len() - at
}

fn shown(state: &State, at: usize, release: &Release) -> Value {
    json!({
        "id": id_of(state, at),
        "tag_name": release.tag,
        "name": release.tag,
        "draft": release.is_draft,
        "prerelease": true,
        "body": "Notes",
    })
}

fn release<'s>(state: &'s State, id: &str) -> Option<&'s Release> {
    let at = state.releases.len().checked_sub(id.parse().ok()?)?;
    state.releases.get(at)
}

fn files_of(release: &Release, id: &str) -> Vec<Value> {
    let shown = |(at, asset): (usize, &Asset)| {
        json!({
            "id": id.parse::<usize>().unwrap() * FILES_MAX + at,
            "name": asset.name,
            "state": if asset.is_unfinished { "starter" } else { "uploaded" },
            "content_type": "application/octet-stream",
            "size": asset.bytes.len(),
            "digest": asset.digest,
            "browser_download_url": format!("https://github.com/owner/node/releases/download/{}/{}", release.tag, asset.name),
        })
    };
    release.assets.iter().enumerate().map(shown).collect()
}

fn file<'s>(state: &'s State, id: &str) -> Option<&'s Asset> {
    let id = id.parse::<usize>().ok()?;
    release(state, &(id / FILES_MAX).to_string())?.assets.get(id % FILES_MAX)
}
