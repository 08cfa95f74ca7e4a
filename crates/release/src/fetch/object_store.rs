//! What object stores want in a request beyond its address: Amazon's signatures, Google's tokens.
//!
//! Written here rather than taken from a client for object stores: such a client brings its own connections, retries
//! and formats, and a download needs one signed `GET`. Without credentials nothing is added: public objects are
//! plain downloads.

use std::fmt::{self, Write};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::address::{Address, Place};
use super::github;

/// Nothing is sent, and that is signed too.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What gives access to object stores.
#[derive(Clone, Default)]
pub struct Credentials {
    amazon: Option<Keys>,
    region: Option<String>,
    google_token: Option<String>,
    github_token: Option<String>,
}

#[derive(Clone)]
struct Keys {
    id: String,
    secret: String,
    session: Option<String>,
}

impl Credentials {
    /// From the variables that the stores' own tools read.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let keys =
            |id: String| Some(Keys { id, secret: set("AWS_SECRET_ACCESS_KEY")?, session: set("AWS_SESSION_TOKEN") });
        Self {
            amazon: set("AWS_ACCESS_KEY_ID").and_then(keys),
            region: set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")),
            google_token: set("GOOGLE_OAUTH_ACCESS_TOKEN"),
            github_token: None,
        }
    }

    /// With this, GitHub is asked as somebody, if there is one.
    #[must_use]
    pub fn with_github_token(self, github_token: Option<String>) -> Self {
        Self { github_token, ..self }
    }

    /// As whom GitHub is asked.
    pub(super) fn github_token(&self) -> Option<&str> {
        self.github_token.as_deref()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// A request: its address and what headers it needs.
pub(super) struct Prepared {
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// The request for an address; `None` for what is on this machine. `now` is a time as [`ov_types::utc`] tells it.
pub(super) fn prepare(address: &Address, credentials: &Credentials, now: &str) -> Option<Prepared> {
    match &address.place {
        Place::Local(_) => None,
        Place::Web(url) => Some(Prepared { url: url.clone(), headers: Vec::new() }),
        Place::Asset(asset) => Some(github::prepare(asset.url.clone(), credentials, github::BYTES)),
        Place::Google(url) => {
            let token = credentials.google_token.iter().map(|token| ("authorization", format!("Bearer {token}")));
            Some(Prepared { url: url.clone(), headers: token.collect() })
        }
        Place::Amazon(url) => Some(prepare_amazon(url.clone(), credentials, now)),
    }
}

fn prepare_amazon(mut url: Url, credentials: &Credentials, now: &str) -> Prepared {
    let mut take = |name| take_parameter(&mut url, name);
    let (id, secret) = (take("aws_access_key_id"), take("aws_access_key_secret"));
    let (session, region, version) = (take("aws_access_token"), take("region"), take("version"));
    let in_address = id.zip(secret).map(|(id, secret)| Keys { id, secret, session });
    let keys = in_address.or_else(|| credentials.amazon.clone());
    if let Some(version) = version {
        url.query_pairs_mut().append_pair("versionId", &version);
    }
    let region = region.or_else(|| region_of(&url)).or_else(|| credentials.region.clone());
    let region = region.unwrap_or_else(|| "us-east-1".to_owned());
    let headers = keys.map(|keys| sign(&url, &keys, &region, now, &[])).unwrap_or_default();
    Prepared { url, headers }
}

fn take_parameter(url: &mut Url, name: &str) -> Option<String> {
    let found = url.query_pairs().find(|(key, _)| key == name)?.1.into_owned();
    let left: Vec<_> =
        url.query_pairs().filter(|(key, _)| key != name).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    url.query_pairs_mut().clear().extend_pairs(left);
    if url.query() == Some("") {
        url.set_query(None);
    }
    Some(found)
}

/// `s3-REGION.amazonaws.com`, `BUCKET.s3.REGION.amazonaws.com`, and the like.
fn region_of(url: &Url) -> Option<String> {
    let host = url.host_str()?.strip_suffix(".amazonaws.com")?;
    let mut parts = host.rsplit('.');
    let last = parts.next()?;
    match last.strip_prefix("s3-") {
        Some(region) => Some(region.to_owned()),
        None if last == "s3" => Some("us-east-1".to_owned()),
        None => Some(last.to_owned()),
    }
}

/// The headers of a signed request, by version 4 of Amazon's signatures.
fn sign(
    url: &Url,
    keys: &Keys,
    region: &str,
    now: &str,
    also: &[(&'static str, String)],
) -> Vec<(&'static str, String)> {
    let time: String = now.chars().filter(|c| !"-:".contains(*c)).collect();
    let date = time.get(..8).unwrap_or_default();
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut headers = vec![("x-amz-content-sha256", EMPTY_SHA256.to_owned()), ("x-amz-date", time.clone())];
    headers.extend(keys.session.clone().map(|token| ("x-amz-security-token", token)));
    let mut signed = headers.clone();
    signed.push(("host", host));
    signed.extend_from_slice(also);
    signed.sort_unstable();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines = signed.iter().map(|(name, value)| format!("{name}:{}", value.trim())).collect::<Vec<_>>().join("\n");
    let request = format!("GET\n{}\n{}\n{lines}\n\n{names}\n{EMPTY_SHA256}", path_of(url), query_of(url));
    let scope = format!("{date}/{region}/s3/aws4_request");
    let message = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hexadecimal(&Sha256::digest(request.as_bytes())));
    let begin = format!("AWS4{}", keys.secret).into_bytes();
    let key = [date, region, "s3", "aws4_request"].iter().fold(begin, |key, part| hmac(&key, part.as_bytes()));
    let signature = hexadecimal(&hmac(&key, message.as_bytes()));
    let credential = format!("{}/{scope}", keys.id);
    headers.push((
        "authorization",
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"),
    ));
    headers
}

/// Escaped as the signature wants it, which is stricter than URLs are.
fn escaped(text: &str, keep_slashes: bool) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte as char),
            b'/' if keep_slashes => escaped.push('/'),
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
        escaped
    })
}

fn path_of(url: &Url) -> String {
    escaped(&super::address::decoded(url.path()), true)
}

fn query_of(url: &Url) -> String {
    let mut pairs: Vec<_> =
        url.query_pairs().map(|(key, value)| format!("{}={}", escaped(&key, false), escaped(&value, false))).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, secret), message).as_ref().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2013-05-24T00:00:00Z";

    fn keys() -> Keys {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned();
        Keys { id: "AKIAIOSFODNN7EXAMPLE".to_owned(), secret, session: None }
    }

    fn credentials() -> Credentials {
        Credentials { amazon: Some(keys()), region: None, google_token: Some("token".to_owned()), github_token: None }
    }

    fn prepared(address: &str, credentials: &Credentials) -> Prepared {
        prepare(&Address::parse(address).unwrap(), credentials, NOW).unwrap()
    }

    fn authorization(prepared: &Prepared) -> &str {
        prepared.headers.iter().find(|(name, _)| *name == "authorization").map_or("", |(_, value)| value)
    }

    /// The example for `GET` of an object in Amazon's documentation.
    #[test]
    fn signatures_are_those_of_the_documentation() {
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
        let headers = sign(&url, &keys(), "us-east-1", NOW, &[("range", "bytes=0-9".to_owned())]);
        let expected = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
            SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
            Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert_eq!(headers.last(), Some(&("authorization", expected.to_owned())));
    }

    #[test]
    fn public_objects_are_plain_downloads() {
        for address in ["s3::https://s3.amazonaws.com/bucket/node", "bucket.s3.amazonaws.com/node"] {
            assert_eq!(prepared(address, &Credentials::default()).headers, []);
        }
        let google = prepared("gcs::https://www.googleapis.com/storage/v1/bucket/v2/node", &Credentials::default());
        assert_eq!((google.url.as_str(), google.headers.len()), ("https://storage.googleapis.com/bucket/v2/node", 0));
    }

    #[test]
    fn the_region_is_told_by_the_host_and_keys_in_the_address_come_first() {
        for (host, region) in [
            ("s3.amazonaws.com", "us-east-1"),
            ("s3-eu-west-1.amazonaws.com", "eu-west-1"),
            ("s3.eu-west-1.amazonaws.com", "eu-west-1"),
            ("bucket.s3-eu-west-1.amazonaws.com", "eu-west-1"),
            ("bucket.s3.eu-west-1.amazonaws.com", "eu-west-1"),
            ("bucket.s3.amazonaws.com", "us-east-1"),
        ] {
            let request = prepared(&format!("s3::https://{host}/bucket/node"), &credentials());
            assert!(authorization(&request).contains(&format!("/{region}/s3/")), "{host}");
        }
        let address =
            "s3::http://127.0.0.1:9000/b/node?aws_access_key_id=me&aws_access_key_secret=x&region=r&version=7";
        let request = prepared(address, &credentials());
        assert_eq!(request.url.as_str(), "http://127.0.0.1:9000/b/node?versionId=7");
        assert!(authorization(&request).contains("Credential=me/20130524/r/s3/"));
    }

    #[test]
    fn variables_are_those_of_the_stores_own_tools() {
        let variable = |name: &str| match name {
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => Some("x".to_owned()),
            "GOOGLE_OAUTH_ACCESS_TOKEN" => Some("token".to_owned()),
            _ => None,
        };
        let credentials = Credentials::from_variables(variable);
        let amazon = prepared("s3::https://minio.example/b/node", &credentials);
        assert!(authorization(&amazon).contains("x-amz-security-token"));
        let google = prepared("gcs::https://www.googleapis.com/storage/v1/b/node", &credentials);
        assert_eq!(authorization(&google), "Bearer token");
        assert_eq!(authorization(&prepared("https://storage.googleapis.com/b/node", &credentials)), "");
    }
}
