//! Every form of address that plans use, and what is refused.

use std::error::Error;

use proptest::prelude::*;

use super::*;
use crate::fetch::checksum::Checksum;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn why(text: &str) -> String {
    let error = Address::parse(text).unwrap_err();
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

fn request(text: &str) -> String {
    match address(text).place {
        Place::Web(url) | Place::Amazon(url) | Place::Google(url) => url.to_string(),
        Place::Local(path) => path.display().to_string(),
        Place::Asset(asset) => asset.url.to_string(),
    }
}

#[test]
fn places_are_found_in_all_forms() {
    for (text, place, shown) in [
        ("https://a.example/node", "Web", "https://a.example/node"),
        (" HTTP://a.example:8080/node?x=1&y ", "Web", "http://a.example:8080/node"),
        ("https::https://a.example/node", "Web", "https://a.example/node"),
        ("/srv/node", "Local", "/srv/node"),
        ("file:///srv/a%20b", "Local", "/srv/a b"),
        ("file::/srv/node", "Local", "/srv/node"),
        ("s3::https://s3.amazonaws.com/b/node", "Amazon", "https://s3.amazonaws.com/b/node"),
        ("b.s3-eu-west-1.amazonaws.com/node", "Amazon", "https://b.s3-eu-west-1.amazonaws.com/node"),
        ("https://b.s3.amazonaws.com/node", "Web", "https://b.s3.amazonaws.com/node"),
        ("gcs::https://www.googleapis.com/storage/v1/b/node", "Google", "https://storage.googleapis.com/b/node"),
        ("www.googleapis.com/storage/v1/b/d/node", "Google", "https://storage.googleapis.com/b/d/node"),
    ] {
        let address = address(text);
        assert_eq!((format!("{:?}", address.place).as_str(), address.to_string().as_str()), (place, shown), "{text}");
    }
    assert!(request("gcs::https://www.googleapis.com/storage/v1/b/node#17").ends_with("/b/node?generation=17"));
}

#[test]
fn what_is_no_file_to_download_is_refused_in_words() {
    for text in [
        "git::https://a.example/node.git",
        "github.com/a/node",
        "gitlab.com/a/node",
        "bitbucket.org/a/node",
        "git@github.com:a/node.git",
        "ssh://git@a.example/node",
        "git::ssh://git@a.example/node",
    ] {
        assert!(why(text).contains("`git` repositories are not fetched"), "{}", why(text));
    }
    assert!(why("hg::https://a.example/node").contains("`hg` repositories"));
    for text in ["node", "./node", "../node", "a.example/node"] {
        assert!(why(text).ends_with("it is neither a URL nor an absolute path"), "{}", why(text));
    }
    for text in ["ftp://a.example/node", "smb::https://a.example/node", "file::https://a.example/x", "s3::/srv/x?y"] {
        assert!(Address::parse(text).is_err() || request(text).starts_with("https://"), "{text}");
    }
    assert!(why("file://elsewhere/srv/node").ends_with("it names a file of another machine"));
    assert_eq!(why("  "), "read an address: it is empty");
    assert!(why("https://a.example:port/x").ends_with("invalid port number"));
    assert!(why("https://a.example/x?checksum=sha256:ab").ends_with("1 bytes are no sha256"));
    assert!(why("https://a.example/x?archive=rar").ends_with("a kind that is not unpacked"));
    assert_eq!(
        why(&format!("https://a.example/{}", "x".repeat(9_000))),
        "read an address: it is longer than 8192 bytes"
    );
}

#[test]
fn what_is_said_about_a_file_is_taken_out_of_the_query_and_the_rest_is_left_to_the_byte() {
    let digits = "0".repeat(64);
    let text = format!("https://a.example/node?filename=n%2fd&checksum=sha256:{digits}&sig=a%2Bb+c&archive=false&&z");
    assert_eq!(request(&text), "https://a.example/node?filename=n%2fd&sig=a%2Bb+c&&z");
    let expected = Checksum::by_name("sha256", &digits).unwrap();
    assert_eq!(address(&text).checksum(), Some(&Clause::Value(expected)));
    let list = address("https://a.example/node?checksum=file:https://a.example/SUMS?v=2");
    assert_eq!(list.checksum(), Some(&Clause::List("https://a.example/SUMS?v=2".to_owned())));
    assert_eq!(request("https://a.example/node?checksum="), "https://a.example/node");
    let local = address(&format!("/srv/node?checksum={digits}"));
    assert!(local.checksum().is_some() && local.local_path() == Some(Path::new("/srv/node")));
}

#[test]
fn the_kind_is_told_by_the_path_or_by_the_address() {
    for (text, kind) in [
        ("https://a.example/node.tar.gz?x=.zip", "tar.gz"),
        ("https://a.example/node.zip/", ""),
        ("https://a.example/node.v1.2", ""),
        ("https://a.example/node?archive=tgz", "tgz"),
        ("https://a.example/node.zip?archive=false", ""),
        ("https://a.example/node.zip?archive=0", ""),
        ("https://a.example/node.zip?archive=true", "zip"),
        ("https://a.example/node.zip//v2/bin", "zip"),
        ("https://a.example/node%2Ezip", "zip"),
        ("/srv/node.gz", "gz"),
    ] {
        assert_eq!(address(text).kind().map_or("", Kind::suffix), kind, "{text}");
    }
    let inside = address("https://a.example/node.zip//v2/lin%20ux/?archive=tgz");
    assert_eq!((inside.subdirectory(), inside.kind()), (Some("v2/lin ux"), Kind::by_suffix("tgz")));
    assert_eq!(inside.to_string(), "https://a.example/node.zip//v2/lin ux");
    assert_eq!(address("/srv//v2").local_path(), Some(Path::new("/srv/v2")));
}

#[test]
fn secrets_are_in_no_text() {
    let texts = [
        "https://me:hunter2@a.example/node?token=hunter2",
        "s3::https://a.example/node?aws_access_key_id=me&aws_access_key_secret=hunter2",
        "https://a.example/node?checksum=sha256:zz&token=hunter2",
        "git::https://me:hunter2@a.example/node",
        "https://me:hunter2@a.example:port/node",
        "smb://me:hunter2@a.example/node",
    ];
    for text in texts {
        let said = match Address::parse(text) {
            Ok(address) => format!("{address} {address:?} {:?} {}", address.place, address.beside(".minisig").unwrap()),
            Err(error) => format!("{error} {error:?} {}", why(text)),
        };
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_mirror_has_the_same_file_with_all_that_is_said_about_it() {
    let digits = "0".repeat(64);
    let text = format!("https://a.example/dl/v2/node%20x.zip//lin?token=1&archive=tgz&checksum={digits}");
    let original = address(&text);
    for (base, mirrored) in [
        ("https://m.example/keep/", "https://m.example/keep/node%20x.zip//lin"),
        ("https://m.example", "https://m.example/node%20x.zip//lin"),
        ("/srv/mirror", "/srv/mirror/node x.zip//lin"),
    ] {
        let mirror = original.on_mirror(base).unwrap();
        assert_eq!(mirror.to_string(), mirrored);
        assert_eq!((mirror.checksum(), mirror.kind()), (original.checksum(), original.kind()));
    }
    assert!(original.on_mirror("git::https://m.example").is_err());
}

#[test]
fn what_must_not_be_written_down_is_recognised() {
    for (text, what) in [
        ("https://me:hunter2@a.example/node", Some("a user or a password")),
        ("https://hunter2@a.example/node", Some("a user or a password")),
        (
            "s3::https://s3.amazonaws.com/b/node?aws_access_key_id=me&aws_access_key_secret=h",
            Some("aws_access_key_secret"),
        ),
        (
            "https://a.example/node?X-Amz-Date=1&X-Amz-Signature=h&checksum=md5:d41d8cd98f00b204e9800998ecf8427e",
            Some("x-amz-signature"),
        ),
        ("https://a.example/node?checksum=file:https://me:hunter2@a.example/sums", Some("a user or a password")),
        ("https://a.example/node?checksum=file:https://a.example/sums&signed=no&archive=zip", None),
        ("/srv/node@home:1", None),
    ] {
        assert_eq!(address(text).secret(), what, "{text}");
    }
}

#[test]
fn signatures_lie_beside_what_they_sign() {
    let beside = address("https://a.example/node.zip?token=1&archive=tgz").beside(".minisig").unwrap();
    assert_eq!((beside.kind(), beside.to_string().as_str()), (None, "https://a.example/node.zip.minisig"));
    assert!(matches!(beside.place, Place::Web(url) if url.query() == Some("token=1")));
    let beside = address("/srv/node").beside(".minisig").unwrap();
    assert_eq!(beside.local_path(), Some(Path::new("/srv/node.minisig")));
}

proptest! {
    #[test]
    fn any_text_is_an_address_or_none(text in any::<String>()) {
        if let Ok(address) = Address::parse(&text) {
            let _ = (address.to_string(), address.kind(), address.file_name(), address.path());
        }
    }

    #[test]
    fn any_end_of_an_address_is_read(end in ".*", getter in "(s3::|gcs::|https::|file::|)(https://|file:///|/|)") {
        if let Ok(address) = Address::parse(&format!("{getter}{end}")) {
            prop_assert!(address.local_path().is_none_or(Path::is_absolute));
        }
    }
}
