//! Releases at GitHub, or at a server with the same API.
//!
//! A release is asked for by its tag, which is one question of the few that a stranger may ask in an hour. Where nothing
//! is known by that name, the list of all is gone through, newest first. Its files are listed page by page, and asked for
//! by number; the redirect that answers this leads elsewhere, and the transport takes the token to no other host.

use std::ops::ControlFlow;

use ov_types::ReleaseName;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

use super::address::{Address, Asset, shown_url};
use super::catalog::{CatalogError, Found};
use super::checksum::{Checksum, Clause};
use super::checksum_list;
use super::download::{DownloadError, Line, Short};
use super::error::FetchError;
use super::naming::Naming;
use super::object_store::{Credentials, Prepared};
use super::plan_info::own_platform;
use super::transport::header_of;

/// Pages of a list that are asked for, with this many lines each.
const PAGES_MAX: u32 = 10;
const PAGE_LINES: u32 = 100;
/// Each release on a page comes with its notes.
const PAGE_LEN_MAX: u64 = 32 << 20;
/// Lists of checksums that are looked into.
const LISTS_MAX: usize = 3;

/// What the API is asked for: its own documents, or the bytes of a file.
const DOCUMENTS: &str = "application/vnd.github+json";
pub(super) const BYTES: &str = "application/octet-stream";
const API_VERSION: &str = "2022-11-28";

/// A repository whose releases are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHub {
    /// The address of the API.
    pub api: String,
    /// Whose it is.
    pub owner: String,
    /// What it is called.
    pub repository: String,
    /// The tag of a release.
    pub tag: Naming,
    /// The file of a release that is fetched.
    pub asset: Naming,
}

#[derive(Deserialize)]
struct Release {
    id: u64,
    tag_name: String,
    #[serde(default)]
    draft: bool,
}

#[derive(Deserialize)]
struct File {
    id: u64,
    name: String,
    /// Missing where a server has no such thing.
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    browser_download_url: Option<String>,
}

impl File {
    fn is_uploaded(&self) -> bool {
        self.state.as_deref().is_none_or(|state| state == "uploaded")
    }
}

/// The question for something of the API. A token goes nowhere in the clear, but to this machine.
pub(super) fn prepare(url: Url, credentials: &Credentials, accept: &str) -> Prepared {
    let is_private = match url.host() {
        _ if url.scheme() == "https" => true,
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let mut headers = vec![("accept", accept.to_owned()), ("x-github-api-version", API_VERSION.to_owned())];
    if let Some(token) = credentials.github_token().filter(|_| is_private) {
        headers.push(("authorization", format!("Bearer {token}")));
    }
    Prepared { url, headers }
}

/// Where a release is.
pub(super) fn find(line: &mut Line<'_>, github: &GitHub, release: &ReleaseName) -> Result<Found, FetchError> {
    let (tag, wanted) = (github.tag.of(release), github.asset.of(release));
    let found = github.release(line, &tag)?;
    let files = github.files(line, found.id)?;
    let Some(file) = files.iter().find(|file| file.name == wanted && file.is_uploaded()) else {
        let there = files.into_iter().map(|file| file.name).collect();
        let note = other_platform(&wanted).unwrap_or_default();
        return Err(CatalogError::NoFile { place: github.place(), name: tag, wanted, note, there }.into());
    };
    let digest = file.digest.as_deref().map(|digest| github.digest(&wanted, digest)).transpose()?;
    let address = Address::of_asset(github.asset(file, &files)?, digest);
    let checksum = github.listed(line, &wanted, &files)?;
    let origin = format!("`{wanted}` of release `{tag}` in {}", github.place());
    Ok(Found { address, checksum, origin })
}

/// Asks for the repository alone.
pub(super) fn greet(line: &mut Line<'_>, github: &GitHub) -> Result<String, CatalogError> {
    let short = github.ask(line, &github.url(&[], "")?)?.ok_or_else(|| github.is_unknown())?;
    let left = header_of(&short.headers, "x-ratelimit-remaining").and_then(|text| text.parse::<u64>().ok());
    let left = left.map(|left| format!("; {left} more questions may be asked this hour")).unwrap_or_default();
    Ok(format!("it answers{left}"))
}

impl GitHub {
    pub(super) fn place(&self) -> String {
        let at = Url::parse(&self.api).map_or_else(|_| "an unknown place".to_owned(), |url| shown_url(&url));
        format!("{}/{} at {}", self.owner, self.repository, at.trim_end_matches('/'))
    }

    /// The address of something in the repository. What a tag is made of stays one part of the path: `+` and `/` too.
    fn url(&self, parts: &[&str], query: &str) -> Result<Url, CatalogError> {
        let mut text = self.api.trim_end_matches('/').to_owned();
        for part in ["repos", &self.owner, &self.repository].iter().chain(parts) {
            text.push('/');
            text.push_str(&escaped(part));
        }
        text.push_str(query);
        Url::parse(&text).map_err(|error| self.untrue(&self.api, error.to_string()))
    }

    fn untrue(&self, name: &str, why: impl Into<String>) -> CatalogError {
        CatalogError::Untrue { place: self.place(), name: name.to_owned(), why: why.into() }
    }

    fn is_unknown(&self) -> CatalogError {
        CatalogError::NoRepository { place: self.place() }
    }

    /// Asks for a document; `None` if there is no such thing.
    fn ask(&self, line: &mut Line<'_>, url: &Url) -> Result<Option<Short>, CatalogError> {
        let asked = line.short(PAGE_LEN_MAX, &|line| line.get(&prepare(url.clone(), line.credentials, DOCUMENTS)));
        match asked {
            Ok(short) => Ok(Some(short)),
            Err(DownloadError::Status { status: 404 }) => Ok(None),
            Err(source) => Err(CatalogError::Asked { place: self.place(), source }),
        }
    }

    fn read<T: DeserializeOwned>(&self, short: &Short) -> Result<T, CatalogError> {
        serde_json::from_slice(&short.bytes).map_err(|source| CatalogError::Unreadable { place: self.place(), source })
    }

    /// Goes through a list, page by page, until `visit` has enough of it.
    fn pages<T: DeserializeOwned, R>(
        &self,
        line: &mut Line<'_>,
        parts: &[&str],
        mut visit: impl FnMut(Vec<T>) -> ControlFlow<R>,
    ) -> Result<Option<R>, CatalogError> {
        for page in 1..=PAGES_MAX {
            let url = self.url(parts, &format!("?page={page}&per_page={PAGE_LINES}"))?;
            let short = self.ask(line, &url)?.ok_or_else(|| self.is_unknown())?;
            if let ControlFlow::Break(found) = visit(self.read(&short)?) {
                return Ok(Some(found));
            }
            if !header_of(&short.headers, "link").is_some_and(has_next) {
                break;
            }
        }
        Ok(None)
    }

    /// The release of a tag.
    fn release(&self, line: &mut Line<'_>, tag: &str) -> Result<Release, CatalogError> {
        let is_it = |release: &Release| !release.draft && release.tag_name == tag;
        if let Some(short) = self.ask(line, &self.url(&["releases", "tags", tag], "")?)? {
            let release = self.read::<Release>(&short)?;
            if is_it(&release) {
                return Ok(release);
            }
        }
        let mut newest = None;
        let found = self.pages(line, &["releases"], |page: Vec<Release>| {
            let first = page.iter().find(|release| !release.draft).map(|release| release.tag_name.clone());
            newest = newest.take().or(first);
            page.into_iter().find(is_it).map_or(ControlFlow::Continue(()), ControlFlow::Break)
        })?;
        let name = || tag.to_owned();
        found.ok_or_else(|| CatalogError::NotPublished { place: self.place(), name: name(), newest })
    }

    /// All files of a release.
    fn files(&self, line: &mut Line<'_>, release: u64) -> Result<Vec<File>, CatalogError> {
        let mut files = Vec::new();
        self.pages(line, &["releases", &release.to_string(), "assets"], |page: Vec<File>| {
            files.extend(page);
            ControlFlow::<()>::Continue(())
        })?;
        Ok(files)
    }

    /// What the server says that the bytes of a file come to.
    fn digest(&self, name: &str, digest: &str) -> Result<Checksum, CatalogError> {
        match Clause::parse(digest) {
            Ok(Clause::Value(checksum)) => Ok(checksum),
            Ok(Clause::List(_)) => Err(self.untrue(name, "its digest is none")),
            Err(error) => Err(self.untrue(name, format!("failed to {error}"))),
        }
    }

    fn asset(&self, file: &File, all: &[File]) -> Result<Asset, CatalogError> {
        let signed = format!("{}.", file.name);
        let is_beside = |other: &&File| other.name.starts_with(&signed) && other.is_uploaded();
        let beside = all.iter().filter(is_beside).map(|other| self.lone_asset(other));
        Ok(Asset { beside: beside.collect::<Result<_, _>>()?, ..self.lone_asset(file)? })
    }

    fn lone_asset(&self, file: &File) -> Result<Asset, CatalogError> {
        let url = self.url(&["releases", "assets", &file.id.to_string()], "")?;
        let shown = file.browser_download_url.as_deref().and_then(|text| Url::parse(text).ok());
        let shown = shown.filter(|shown| matches!(shown.scheme(), "http" | "https"));
        Ok(Asset { shown: shown.unwrap_or_else(|| url.clone()), url, name: file.name.clone(), beside: Vec::new() })
    }

    /// What the publisher put beside a file to compare it with, if anything.
    fn listed(&self, line: &mut Line<'_>, wanted: &str, files: &[File]) -> Result<Option<Checksum>, FetchError> {
        let names = files.iter().filter(|file| file.is_uploaded()).map(|file| file.name.as_str());
        let lists = checksum_list::lists_for(wanted, &names.collect::<Vec<_>>());
        for list in lists.into_iter().take(LISTS_MAX) {
            let Some(file) = files.iter().find(|file| file.name == list.name) else { continue };
            let address = Address::of_asset(self.lone_asset(file)?, None);
            let text = line.text(&address, checksum_list::LEN_MAX);
            let text = text.map_err(|source| FetchError::List { address: address.to_string(), source })?;
            match list.find(&String::from_utf8_lossy(&text), wanted) {
                Some(checksum) => return Ok(Some(checksum)),
                None if list.is_of_one => {
                    return Err(FetchError::NotInList { list: address.to_string(), address: wanted.to_owned() });
                }
                None => {}
            }
        }
        Ok(None)
    }
}

/// Whether there is another page behind this one.
fn has_next(link: &str) -> bool {
    link.split([',', ';']).any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"))
}

/// Percent signs for all but the letters that mean themselves everywhere.
fn escaped(part: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    part.bytes().map(escape).collect()
}

/// What to say of a name that seems to be for another processor than this one.
fn other_platform(name: &str) -> Option<String> {
    const CALLED: [(&str, [&str; 2]); 2] = [("amd64", ["amd64", "x86_64"]), ("arm64", ["arm64", "aarch64"])];
    let platform = own_platform();
    let own = platform.rsplit('/').next()?;
    let names = |(_, called): &&(&str, [&str; 2])| called.iter().any(|called| name.contains(called));
    let (other, _) = CALLED.iter().find(|called| called.0 != own && names(called))?;
    Some(format!(", which is for {other} where this machine is {own}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_sent_in_the_clear() {
        let credentials = Credentials::default().with_github_token(Some("hunter2".to_owned()));
        for (url, is_sent) in [
            ("https://api.github.com/x", true),
            ("http://127.0.0.1:80/x", true),
            ("http://[::1]/x", true),
            ("http://localhost:1/x", true),
            ("http://api.github.com/x", false),
            ("http://10.0.0.1/x", false),
            ("http://localhost.example/x", false),
        ] {
            let headers = prepare(Url::parse(url).unwrap(), &credentials, DOCUMENTS).headers;
            assert_eq!(headers.iter().any(|(name, _)| *name == "authorization"), is_sent, "{url}");
        }
    }

    #[test]
    fn a_link_tells_whether_another_page_follows() {
        assert!(has_next("<https://a.example/?page=2>; rel=\"next\", <https://a.example/?page=9>; rel=\"last\""));
        assert!(has_next("<https://a.example/?page=1>; rel=\"prev\", <https://a.example/?page=3>;rel=next"));
        for last in ["<https://a.example/?page=1>; rel=\"prev\"", "<https://a.example/next>; rel=\"first\"", ""] {
            assert!(!has_next(last), "{last}");
        }
    }
}
