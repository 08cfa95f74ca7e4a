//! Addresses of files as plans write them: go-getter's forms, as far as they can name a release.
//!
//! An address is a place and what is said about what lies there: a checksum, the kind of archive, a directory in it.
//! Parsing is pure. What an address prints never holds a password, a key or a signed query.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use super::checksum::{Checksum, Clause, InvalidChecksum};
use super::kind::Kind;
use crate::digest::Digest;

/// The longest address that is read.
const LEN_MAX: usize = 8 * 1024;

/// Where something is, and what is said about it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) place: Place,
    checksum: Option<Clause>,
    archive: Archive,
    subdirectory: Option<String>,
}

/// Where something is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A web server.
    Web(Url),
    /// An object store that wants Amazon's signatures, if any.
    Amazon(Url),
    /// An object in Google's store, by its public address.
    Google(Url),
    /// A file or directory of this machine.
    Local(PathBuf),
    /// A file of a release at GitHub.
    Asset(Box<Asset>),
}

/// A file of a release at GitHub: asked for by a number, and called something else.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Asset {
    /// Where it is asked for.
    pub(super) url: Url,
    /// What it is called.
    pub(super) name: String,
    /// Where people find it.
    pub(super) shown: Url,
    /// The files that belong to it, by their names: signatures.
    pub(super) beside: Vec<Asset>,
}

/// What `?archive=` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Archive {
    /// Nothing: the name tells.
    ByName,
    /// It is none, whatever its name.
    No,
    /// It is one of this kind, whatever its name.
    Is(Kind),
    /// Nothing that counts: its first bytes tell.
    ByContents,
}

/// Why a text is not an address that something can be fetched from.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAddress {
    /// There is nothing in it.
    #[error("read an address: it is empty")]
    Empty,
    /// It is longer than anybody needs.
    #[error("read an address: it is longer than {LEN_MAX} bytes")]
    Long,
    /// It names a repository.
    #[error("use {shown}: `{system}` repositories are not fetched; name a file to download instead")]
    Repository {
        /// The address without what is secret in it.
        shown: String,
        /// The system.
        system: &'static str,
    },
    /// It is of a form that is not understood.
    #[error("use {shown}: {why}")]
    Form {
        /// The address without what is secret in it.
        shown: String,
        /// What is wrong.
        why: &'static str,
    },
    /// It is not a URL.
    #[error("use {shown} as an address")]
    Url {
        /// The address without what is secret in it.
        shown: String,
        /// What is wrong.
        source: url::ParseError,
    },
    /// Its checksum is none.
    #[error("use the checksum of {shown}")]
    Checksum {
        /// The address without what is secret in it.
        shown: String,
        /// What is wrong.
        source: InvalidChecksum,
    },
}

impl Address {
    /// Reads an address; total over all texts.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidAddress::Empty);
        }
        if text.len() > LEN_MAX {
            return Err(InvalidAddress::Long);
        }
        let (getter, rest) = forced_getter(text);
        let shown = || shown_text(rest);
        let form = |why| InvalidAddress::Form { shown: shown(), why };
        let Some(getter) = getter.or_else(|| detected_getter(rest)) else {
            return Err(form("it is neither a URL nor an absolute path"));
        };
        let repository = |system| InvalidAddress::Repository { shown: shown(), system };
        let (rest, subdirectory) = split_subdirectory(rest);
        let mut url = match getter {
            "git" => return Err(repository("git")),
            "hg" => return Err(repository("hg")),
            "file" | "http" | "https" | "s3" | "gcs" => url_of(getter, &rest).map_err(|source| {
                let shown = shown();
                InvalidAddress::Url { shown, source }
            })?,
            _ => return Err(form("how to fetch it is not known: http, https, file, s3 and gcs are")),
        };
        let checksum = take_parameter(&mut url, "checksum").filter(|value| !value.is_empty());
        let checksum = checksum.map(|value| Clause::parse(&value)).transpose();
        let checksum = checksum.map_err(|source| InvalidAddress::Checksum { shown: shown(), source })?;
        let archive = archive_of(take_parameter(&mut url, "archive").as_deref()).map_err(form)?;
        let place = place_of(getter, url).map_err(form)?;
        Ok(Self { place, checksum, archive, subdirectory }.with_plain_directory())
    }

    /// A directory of this machine is not an archive that something is in: `//` is a slash there.
    fn with_plain_directory(mut self) -> Self {
        if self.kind().is_none()
            && let Place::Local(path) = &mut self.place
            && let Some(inside) = self.subdirectory.take()
        {
            path.push(inside);
        }
        self
    }

    /// A file or directory of this machine.
    pub fn local(path: &Path) -> Self {
        let place = Place::Local(path.to_owned());
        Self { place, checksum: None, archive: Archive::ByName, subdirectory: None }
    }

    /// A file of a release at GitHub, with what is said there that its bytes come to.
    pub(super) fn of_asset(asset: Asset, checksum: Option<Checksum>) -> Self {
        let (place, checksum) = (Place::Asset(Box::new(asset)), checksum.map(Clause::Value));
        Self { place, checksum, archive: Archive::ByContents, subdirectory: None }
    }

    /// The same file, with all that is said about it, in the folder `base` of somebody who keeps copies.
    pub fn on_mirror(&self, base: &str) -> Result<Self, InvalidAddress> {
        let mut mirror = Self::parse(base)?;
        let name = self.file_name();
        match &mut mirror.place {
            Place::Local(path) => path.push(name),
            Place::Web(url) | Place::Amazon(url) | Place::Google(url) => {
                let why = "files cannot lie below it";
                let form = |()| InvalidAddress::Form { shown: shown_text(base), why };
                url.path_segments_mut().map_err(form)?.pop_if_empty().push(&name);
            }
            // No text is read as one.
            Place::Asset(_) => {}
        }
        let Self { checksum, archive, subdirectory, .. } = self.clone();
        Ok(Self { checksum, archive, subdirectory, ..mirror })
    }

    /// What in it must not be written down or shown, if anything: a password, or a part of the query that opens what
    /// others cannot.
    pub fn secret(&self) -> Option<&'static str> {
        const KEYS: [&str; 10] = [
            "aws_access_key_secret",
            "aws_access_token",
            "x-amz-signature",
            "x-amz-security-token",
            "x-goog-signature",
            "signature",
            "sig",
            "access_token",
            "private_token",
            "token",
        ];
        if let Some(Clause::List(list)) = &self.checksum
            && let Some(secret) = Self::parse(list).ok().and_then(|list| list.secret())
        {
            return Some(secret);
        }
        let (Place::Web(url) | Place::Amazon(url) | Place::Google(url)) = &self.place else { return None };
        if !url.username().is_empty() || url.password().is_some() {
            return Some("a user or a password");
        }
        let mut keys = url.query_pairs().map(|(key, _)| key.into_owned());
        keys.find_map(|key| KEYS.into_iter().find(|secret| key.eq_ignore_ascii_case(secret)))
    }

    /// What its checksum clause says.
    pub fn checksum(&self) -> Option<&Clause> {
        self.checksum.as_ref()
    }

    /// The path on this machine, if it names one.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Local(path) => Some(path),
            Place::Web(_) | Place::Amazon(_) | Place::Google(_) | Place::Asset(_) => None,
        }
    }

    /// The kind of archive that is there; `None` is a program as it is.
    pub fn kind(&self) -> Option<Kind> {
        match self.archive {
            Archive::No => None,
            Archive::Is(kind) => Some(kind),
            Archive::ByName | Archive::ByContents => Kind::by_name(&self.file_name()),
        }
    }

    /// Whether it is known to be a program as it is, and no archive.
    pub fn is_plain_file(&self) -> bool {
        self.kind().is_none() && !self.is_by_contents()
    }

    /// Whether not what is said about it but its contents tell which kind it is.
    pub(super) fn is_by_contents(&self) -> bool {
        self.archive == Archive::ByContents
    }

    /// Which directory of the archive is meant, by go-getter's `//`.
    pub(super) fn subdirectory(&self) -> Option<&str> {
        self.subdirectory.as_deref()
    }

    /// The last part of its path.
    pub(super) fn file_name(&self) -> String {
        self.path().rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Its path, decoded.
    pub(super) fn path(&self) -> String {
        match &self.place {
            Place::Web(url) | Place::Amazon(url) | Place::Google(url) => decoded(url.path()),
            Place::Local(path) => path.to_string_lossy().into_owned(),
            Place::Asset(asset) => asset.name.clone(),
        }
    }

    /// What tells it from others in a note, which must not hold its secrets.
    pub(super) fn identity(&self) -> Digest {
        let asked = match &self.place {
            Place::Asset(asset) => asset.url.as_str(),
            Place::Web(_) | Place::Amazon(_) | Place::Google(_) | Place::Local(_) => "",
        };
        Digest::of(format!("{self}{asked}").as_bytes())
    }

    /// The same place with something appended to the name there, where signatures lie; `None` where it is known that
    /// nothing does.
    pub(super) fn beside(&self, suffix: &str) -> Option<Self> {
        let place = match &self.place {
            Place::Web(url) => Place::Web(with_suffix(url, suffix)),
            Place::Amazon(url) => Place::Amazon(with_suffix(url, suffix)),
            Place::Google(url) => Place::Google(with_suffix(url, suffix)),
            Place::Local(path) => {
                let mut path = path.clone().into_os_string();
                path.push(suffix);
                Place::Local(path.into())
            }
            Place::Asset(asset) => {
                let name = format!("{}{suffix}", asset.name);
                Place::Asset(Box::new(asset.beside.iter().find(|found| found.name == name)?.clone()))
            }
        };
        Some(Self { place, checksum: None, archive: Archive::No, subdirectory: None })
    }
}

fn with_suffix(url: &Url, suffix: &str) -> Url {
    let mut url = url.clone();
    url.set_path(&format!("{}{suffix}", url.path()));
    url
}

/// `s3::https://…` names its getter before the URL.
fn forced_getter(text: &str) -> (Option<&str>, &str) {
    match text.split_once("::") {
        Some((getter, rest)) if !getter.is_empty() && getter.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            (Some(getter), rest)
        }
        _ => (None, text),
    }
}

/// What go-getter finds in an address that names no getter.
fn detected_getter(text: &str) -> Option<&'static str> {
    const SCHEMES: [(&str, &str); 6] =
        [("https", "https"), ("http", "http"), ("file", "file"), ("git", "git"), ("ssh", "git"), ("hg", "hg")];
    const HOSTS: [(&str, &str); 4] =
        [("github.com/", "git"), ("gitlab.com/", "git"), ("bitbucket.org/", "git"), ("git@", "git")];
    if let Some((scheme, _)) = text.split_once("://") {
        let known = SCHEMES.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
        return Some(known.map_or("unknown", |(_, getter)| getter));
    }
    if text.starts_with('/') {
        return Some("file");
    }
    if let Some((_, getter)) = HOSTS.iter().find(|(host, _)| text.starts_with(host)) {
        return Some(getter);
    }
    let host = text.split('/').next().unwrap_or_default();
    if host.ends_with(".amazonaws.com") {
        Some("s3")
    } else if host.ends_with("googleapis.com") {
        Some("gcs")
    } else {
        None
    }
}

fn url_of(getter: &str, rest: &str) -> Result<Url, url::ParseError> {
    let scheme = if getter == "file" { "file" } else { "https" };
    if rest.contains("://") { Url::parse(rest) } else { Url::parse(&format!("{scheme}://{rest}")) }
}

fn place_of(getter: &str, url: Url) -> Result<Place, &'static str> {
    match (getter, url.scheme()) {
        ("file", "file") => url.to_file_path().map(Place::Local).map_err(|()| "it names a file of another machine"),
        ("s3", "http" | "https") => Ok(Place::Amazon(url)),
        ("gcs", "http" | "https") => google_object(url).map(Place::Google),
        (_, "http" | "https") => Ok(Place::Web(url)),
        _ => Err("how to fetch it is not known: http, https, file, s3 and gcs are"),
    }
}

/// `/storage/v1/BUCKET/OBJECT` of the API is `/BUCKET/OBJECT` of the store; a fragment is the object's generation.
fn google_object(mut url: Url) -> Result<Url, &'static str> {
    const WHY: &str = "it is not of the form gcs::https://www.googleapis.com/storage/v1/BUCKET/OBJECT";
    if url.host_str() == Some("www.googleapis.com") {
        let path = url.path().to_owned();
        let object = path.strip_prefix("/storage/").and_then(|rest| rest.split_once('/')).ok_or(WHY)?.1;
        if !object.contains('/') {
            return Err(WHY);
        }
        url.set_path(object);
        url.set_host(Some("storage.googleapis.com")).map_err(|_| WHY)?;
    }
    if let Some(generation) = url.fragment().map(str::to_owned) {
        url.query_pairs_mut().append_pair("generation", &generation);
        url.set_fragment(None);
    }
    Ok(url)
}

/// Takes a parameter out of the query and leaves the others to the byte: they may be signed.
fn take_parameter(url: &mut Url, name: &str) -> Option<String> {
    let query = url.query()?.to_owned();
    let mut found = None;
    let mut left = Vec::new();
    for part in query.split('&') {
        match url::form_urlencoded::parse(part.as_bytes()).next() {
            Some((key, value)) if key == name => found = found.or(Some(value.into_owned())),
            _ => left.push(part),
        }
    }
    if found.is_some() {
        let left = left.join("&");
        url.set_query((!left.is_empty()).then_some(&left));
    }
    found
}

/// Go reads booleans here first; what is none of them is a kind.
fn archive_of(value: Option<&str>) -> Result<Archive, &'static str> {
    match value {
        None | Some("" | "1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(Archive::ByName),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(Archive::No),
        Some(name) => Kind::by_suffix(name).map(Archive::Is).ok_or("its `archive` is of a kind that is not unpacked"),
    }
}

/// `…/archive.zip//directory?query` means a directory in the archive.
fn split_subdirectory(text: &str) -> (String, Option<String>) {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let end = text[begin..].find(['?', '#']).map_or(text.len(), |at| begin + at);
    let Some(at) = text[begin..end].find("//").map(|at| begin + at) else { return (text.to_owned(), None) };
    let inside = decoded(text[at + 2..end].trim_matches('/'));
    (format!("{}{}", &text[..at], &text[end..]), Some(inside).filter(|inside| !inside.is_empty()))
}

pub(super) fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        let escaped = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An address that may not even be one, without what may be secret: users, passwords, queries.
fn shown_text(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    let without_query = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = without_query.split_once("://").map_or(("", without_query), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let shown: String = format!("{host}{path}").chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    if scheme.is_empty() { format!("`{shown}`") } else { format!("`{scheme}://{shown}`") }
}

/// A URL without its user and its query.
pub(super) fn shown_url(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Local(path) => write!(f, "{}", path.display())?,
            Place::Web(url) | Place::Amazon(url) | Place::Google(url) => f.write_str(&shown_url(url))?,
            Place::Asset(asset) => f.write_str(&shown_url(&asset.shown))?,
        }
        if let Some(inside) = &self.subdirectory {
            write!(f, "//{inside}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Place::Web(_) => "Web",
            Place::Amazon(_) => "Amazon",
            Place::Google(_) => "Google",
            Place::Local(_) => "Local",
            Place::Asset(_) => "Asset",
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests;
