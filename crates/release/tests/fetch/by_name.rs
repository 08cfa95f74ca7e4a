//! Releases that are found by their names at GitHub.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use ov_release::fetch::{
    Catalog, CatalogError, Checksum, Credentials, FetchError, FetchRequest, Found, GitHub, Naming, Policy, Signer,
};
use ov_release::{Addition, Digest};
use ov_testkit::{Asset, GitHubServer, Trouble};
use ov_types::{Lasting, ReleaseName};

use super::archives::{directory, file, gzip, tar_of, zip_of};
use super::bench::{Bench, from, patience, whole};

const PROGRAM: &[u8] = b"#!/bin/sh\necho the program\n";
const FILE: &str = "node-linux";

fn catalog(server: &GitHubServer) -> Catalog {
    Catalog::GitHub(GitHub {
        api: server.address().to_owned(),
        owner: "owner".to_owned(),
        repository: "node".to_owned(),
        tag: Naming::release(),
        asset: Naming::literal(FILE),
    })
}

fn name(release: &str) -> ReleaseName {
    ReleaseName::new(release).unwrap()
}

fn find_as(bench: &Bench, server: &GitHubServer, release: &str, token: Option<&str>) -> Result<Found, FetchError> {
    let credentials = Credentials::default().with_github_token(token.map(str::to_owned));
    let mut unheard = |_| {};
    let world = bench.world(&mut unheard);
    catalog(server).find(ov_release::fetch::World { credentials: &credentials, ..world }, &name(release), patience())
}

fn find(server: &GitHubServer, release: &str) -> Result<Found, FetchError> {
    find_as(&Bench::new(), server, release, None)
}

fn why(server: &GitHubServer, release: &str) -> String {
    let error = find(server, release).unwrap_err();
    whole(&error).replace(server.address(), "API")
}

/// Finds release v1 and fetches it.
fn fetch(bench: &Bench, server: &GitHubServer) -> Result<ov_release::Provenance, FetchError> {
    fetch_with(bench, server, Policy::default())
}

fn fetch_with(bench: &Bench, server: &GitHubServer, policy: Policy) -> Result<ov_release::Provenance, FetchError> {
    let Found { address, checksum, origin } = find_as(bench, server, "v1", None)?;
    let request = FetchRequest { addresses: vec![address], checksum, policy, origin: Some(origin), ..from(&[]) };
    bench.fetch(&request).map(|staged| staged.provenance)
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

fn sum_of(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

#[test]
fn a_release_is_found_by_its_tag_and_says_where_it_came_from() {
    let (bench, server) = (Bench::new(), GitHubServer::default());
    server.publish("v1", &[Asset { digest: Some(digest_of(PROGRAM)), ..Asset::new(FILE, PROGRAM) }]);
    server.publish("v2", &[]);
    let provenance = fetch(&bench, &server).unwrap();
    assert_eq!(bench.program("v1"), PROGRAM);
    assert_eq!(provenance.source, format!("`{FILE}` of release `v1` in owner/node at {}", server.address()));
    let fetched = provenance.fetched.unwrap();
    assert_eq!(fetched.address, format!("https://github.com/owner/node/releases/download/v1/{FILE}"));
    assert_eq!(fetched.checksum, Some(digest_of(PROGRAM)));
    let asked = server.asked();
    let paths: Vec<&str> = asked.iter().map(|question| question.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/repos/owner/node/releases/tags/v1",
            "/repos/owner/node/releases/1/assets?page=1&per_page=100",
            "/repos/owner/node/releases/assets/1000",
        ]
    );
    assert!(asked.iter().all(|question| question.header("x-github-api-version") == Some("2022-11-28")));
    assert_eq!(asked[0].header("accept"), Some("application/vnd.github+json"));
    assert!(asked.iter().all(|question| question.header("authorization").is_none()));
}

#[test]
fn tags_may_hold_what_addresses_may_not() {
    let server = GitHubServer::default();
    server.publish("v0.74.0+build", &[Asset::new(FILE, PROGRAM)]);
    find(&server, "v0.74.0+build").unwrap();
    assert_eq!(server.asked()[0].path, "/repos/owner/node/releases/tags/v0.74.0%2Bbuild");
}

#[test]
fn both_lists_are_gone_through_page_by_page() {
    let server = GitHubServer::default();
    let many: Vec<Asset> = (0..25).map(|at| Asset::new(&format!("other-{at}"), b"")).collect();
    server.publish("v1", &[many, vec![Asset::new(FILE, PROGRAM)]].concat());
    for number in 2..30 {
        server.publish(&format!("v{number}"), &[]);
    }
    server.draft("v30", &[]);
    server.shorten_pages(10);
    server.forget_tags();
    let bench = Bench::new();
    fetch(&bench, &server).unwrap();
    assert_eq!(bench.program("v1"), PROGRAM);
    let pages = |list: &str| server.asked().iter().filter(|asked| asked.path.contains(list)).count();
    assert_eq!((pages("/releases?page="), pages("/assets?page=")), (3, 3));
    let text = why(&server, "v30");
    assert_eq!(
        text, "find release `v30` in owner/node at API: it is not published there; the newest is `v29`",
        "a draft is none"
    );
}

#[test]
fn pages_without_end_are_not_read_for_ever() {
    let server = GitHubServer::default();
    for number in 0..30 {
        server.publish(&format!("v{number}"), &[]);
    }
    server.shorten_pages(1);
    let error = find(&server, "v99").unwrap_err();
    assert!(matches!(error, FetchError::Catalog(CatalogError::NotPublished { .. })), "{error}");
    assert_eq!(server.asked().len(), 11);
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let server = GitHubServer::default();
    assert_eq!(why(&server, "v1"), "find release `v1` in owner/node at API: it is not published there");
    server.publish("v1", &[]);
    let text = why(&server, "v1");
    assert_eq!(text, format!("find `{FILE}` in release `v1` of owner/node at API: there are no files, or not yet"));
    let unfinished = Asset { is_unfinished: true, ..Asset::new(FILE, PROGRAM) };
    server.publish("v1", &[Asset::new("node-windows", b""), unfinished]);
    assert!(why(&server, "v1").ends_with(&format!("there are `node-windows`, `{FILE}`")), "{}", why(&server, "v1"));
    let error = find(&server, "v1").unwrap_err();
    assert_eq!(error.lasting(), Lasting::Transient, "it may be uploaded later");
    server.publish("v1", &[Asset::new("node-linux\u{1b}[31m.zip", b"")]);
    assert!(why(&server, "v1").ends_with("there is only `node-linux[31m.zip`"), "{}", why(&server, "v1"));

    server.lock("hunter2");
    let error = find(&server, "v1").unwrap_err();
    assert_eq!(error.lasting(), Lasting::Permanent);
    assert!(whole(&error).ends_with(": there is no such repository, or none that we may see"), "{}", whole(&error));
}

#[test]
fn a_file_for_another_processor_is_told_apart() {
    let other = if cfg!(target_arch = "x86_64") { "arm64" } else { "amd64" };
    let server = GitHubServer::default();
    server.publish("v1", &[Asset::new("node-linux-mips.zip", b"")]);
    let asset = Naming::literal(format!("node-linux-{other}.zip"));
    let Catalog::GitHub(github) = catalog(&server);
    let (bench, mut unheard) = (Bench::new(), |_| {});
    let found = Catalog::GitHub(GitHub { asset, ..github }).find(bench.world(&mut unheard), &name("v1"), patience());
    let text = whole(&found.unwrap_err());
    assert!(text.contains(&format!(", which is for {other} where this machine is ")), "{text}");
}

#[test]
fn the_token_goes_to_the_api_and_nowhere_else() {
    let (bench, server) = (Bench::new(), GitHubServer::default());
    server.publish("v1", &[Asset::new(FILE, PROGRAM)]);
    server.lock("hunter2");
    let found = find_as(&bench, &server, "v1", Some("hunter2")).unwrap();
    let request = FetchRequest { addresses: vec![found.address], origin: Some(found.origin), ..from(&[]) };
    let credentials = Credentials::default().with_github_token(Some("hunter2".to_owned()));
    let mut unheard = |_| {};
    let world = ov_release::fetch::World { credentials: &credentials, ..bench.world(&mut unheard) };
    ov_release::fetch::fetch(world, &bench.layout, &request).unwrap();
    let tokens: Vec<_> = server.asked().iter().map(|asked| asked.header("authorization").map(str::to_owned)).collect();
    assert_eq!(tokens, vec![Some("Bearer hunter2".to_owned()); 3]);
    let of_bytes = server.asked_for_bytes();
    assert_eq!((of_bytes.len(), of_bytes[0].header("authorization")), (1, None));
    let text = std::fs::read_to_string(bench.layout.provenance(&name("v1"))).unwrap();
    assert!(!text.contains("hunter2"), "neither the token nor what the redirect was signed with: {text}");
}

#[test]
fn what_breaks_off_is_gone_on_with_and_what_fails_is_tried_again() {
    let program = PROGRAM.repeat(100_000);
    let (bench, server) = (Bench::new(), GitHubServer::default());
    server.publish("v1", &[Asset { digest: Some(digest_of(&program)), ..Asset::new(FILE, &program) }]);
    server.trouble([Trouble::Status(502), Trouble::LimitedFor(0), Trouble::Status(500)]);
    server.trouble_with_bytes([Trouble::Cut(1_000_000), Trouble::Status(503)]);
    fetch(&bench, &server).unwrap();
    assert_eq!(bench.program("v1"), program);
    let ranges: Vec<_> =
        server.asked_for_bytes().iter().map(|asked| asked.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges[0], None);
    assert!(ranges[2].as_ref().is_some_and(|range| range != "bytes=0-"), "{ranges:?}");
}

#[test]
fn a_limit_is_told_with_its_end_and_not_asked_against() {
    let server = GitHubServer::default();
    server.publish("v1", &[Asset::new(FILE, PROGRAM)]);
    server.trouble([Trouble::LimitedUntil(1_900_000_000)]);
    let error = find(&server, "v1").unwrap_err();
    assert_eq!((error.until_ms(), error.lasting()), (Some(1_900_000_000_000), Lasting::Transient));
    let expected = ": get it: the server answers no more questions of ours before 2030-03-17T17:46:40Z";
    assert!(whole(&error).ends_with(expected), "{}", whole(&error));
    assert_eq!(server.asked().len(), 1);
    server.trouble([Trouble::LimitedFor(3_600)]);
    assert!(find(&server, "v1").unwrap_err().until_ms().is_some());
    assert_eq!(server.asked().len(), 2);

    // The bytes come by the same server.
    let (bench, found) = (Bench::new(), find(&server, "v1").unwrap());
    server.trouble([Trouble::LimitedUntil(1_900_000_000)]);
    let error = bench.fetch(&FetchRequest { addresses: vec![found.address], ..from(&[]) }).unwrap_err();
    assert_eq!(error.until_ms(), Some(1_900_000_000_000));
    // What is forbidden for another reason is no limit.
    server.trouble([Trouble::Status(403)]);
    assert_eq!(find(&server, "v1").unwrap_err().until_ms(), None);
}

#[test]
fn what_is_no_answer_is_told() {
    let server = GitHubServer::default();
    server.trouble([Trouble::Text("<html>".to_owned())]);
    let text = why(&server, "v1");
    assert!(text.starts_with("understand what owner/node at API says: expected value"), "{text}");
    server.publish("v1", &[Asset { digest: Some("crc32:00000000".to_owned()), ..Asset::new(FILE, PROGRAM) }]);
    let text = why(&server, "v1");
    assert!(text.contains(&format!("says of `{FILE}`: failed to understand checksum type `crc32`")), "{text}");
}

/// What comes of a release whose checksums say these things.
fn checked(beside: &[(&str, String)], digest: Option<String>, policy: Policy) -> Result<Option<String>, String> {
    let (bench, server) = (Bench::new(), GitHubServer::default());
    let mut assets: Vec<Asset> = beside.iter().map(|(name, text)| Asset::new(name, text.as_bytes())).collect();
    assets.push(Asset { digest, ..Asset::new(FILE, PROGRAM) });
    server.publish("v1", &assets);
    let result = fetch_with(&bench, &server, policy).map_err(|error| whole(&error));
    if result.is_err() {
        assert!(bench.names().is_empty(), "{:?}", bench.names());
    }
    result.map(|provenance| provenance.fetched.unwrap().checksum)
}

#[test]
fn what_publishers_put_beside_a_file_is_compared_with_it() {
    let (right, wrong) = (sum_of(PROGRAM), "0".repeat(64));
    let remembered = Ok(Some(format!("sha256:{right}")));
    let plain = Policy::default;
    for list in [
        "checksums.txt",
        "SHA256SUMS",
        "sha256sums.txt",
        "sha256sum.txt",
        "node_1_checksums.txt",
        "SHASUMS256.txt",
        "node_1_SHA256SUMS",
        "checksums-sha256.txt",
    ] {
        let with = |sum: &str| [(list, format!("{wrong}  other\n{sum}  {FILE}\n"))];
        assert_eq!(checked(&with(&right), None, plain()), remembered, "{list}");
        let refused = checked(&with(&wrong), None, plain()).unwrap_err();
        assert!(refused.starts_with("Checksums did not match for "), "{list}: {refused}");
    }
    for own in ["node-linux.sha256", "node-linux.sha256sum", "node-linux.sha256.txt"] {
        assert_eq!(checked(&[(own, right.clone())], None, plain()), remembered, "{own}");
        assert!(checked(&[(own, format!("{wrong}  {FILE}"))], None, plain()).is_err(), "{own}");
        assert!(checked(&[(own, "<html>".to_owned())], None, plain()).unwrap_err().contains("no checksum found in"));
    }
    // Of another file, of none, and what only sounds like it.
    for other in ["other.sha256", "SHA256SUMS.asc", "checksums.txt.sig", "node-linux.sha256.minisig"] {
        let names = [("other", String::new()), (other, wrong.clone())];
        assert_eq!(checked(&names, None, plain()), Ok(None), "{other}");
    }
    assert_eq!(checked(&[("SHA256SUMS", format!("{wrong}\n"))], None, plain()), Ok(None), "it names nothing");
    let server = GitHubServer::default();
    server.publish("v1", &["other", "other.sha256", FILE].map(|name| Asset::new(name, PROGRAM)));
    find(&server, "v1").unwrap();
    assert!(server.asked_for_bytes().is_empty(), "the sum of another file is not even asked for");
}

#[test]
fn what_the_server_says_counts_as_well() {
    let (right, wrong) = (sum_of(PROGRAM), "0".repeat(64));
    let must = || Policy { must_have_checksum: true, ..Policy::default() };
    assert!(checked(&[], None, must()).unwrap_err().contains("it has no checksum, and the policy wants one"));
    let remembered = Ok(Some(format!("sha256:{right}")));
    assert_eq!(checked(&[], Some(format!("sha256:{right}")), must()), remembered);
    assert_eq!(checked(&[("SHA256SUMS", format!("{right} *{FILE}\n"))], None, must()), remembered);
    assert!(checked(&[], Some(format!("sha256:{wrong}")), must()).unwrap_err().starts_with("Checksums did not match"));
    let sums = [("SHA256SUMS", format!("{wrong}  {FILE}\n"))];
    let refused = checked(&sums, Some(format!("sha256:{right}")), Policy::default()).unwrap_err();
    assert!(refused.ends_with("its two checksums do not agree"), "{refused}");
}

#[test]
fn signatures_are_files_of_the_release() {
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";
    let policy = || Policy { signers: vec![Signer::minisign(KEY).unwrap()], ..Policy::default() };
    let (bench, server) = (Bench::new(), GitHubServer::default());
    server.publish("v1", &[Asset::new(FILE, b"test")]);
    let error = fetch_with(&bench, &server, policy()).unwrap_err();
    assert!(whole(&error).ends_with(".minisig: get it: it is not among the files of the release"), "{}", whole(&error));
    server.publish("v1", &[Asset::new(FILE, b"test"), Asset::new("node-linux.minisig", SIGNATURE.as_bytes())]);
    let provenance = fetch_with(&bench, &server, policy()).unwrap();
    assert!(provenance.fetched.unwrap().signer.is_some());
}

#[test]
fn a_file_is_what_it_holds_whatever_it_is_called() {
    let items = [directory("lib"), file("node", PROGRAM), file("lib/a.so", b"library")];
    let tar = tar_of(&items);
    let odd =
        [("bare", PROGRAM.to_vec()), ("zip", zip_of(&items)), ("gz", gzip(PROGRAM)), ("tgz", gzip(&tar)), ("tar", tar)];
    for (what, bytes) in odd {
        let (bench, server) = (Bench::new(), GitHubServer::default());
        server.publish("v1", &[Asset::new(FILE, &bytes)]);
        fetch(&bench, &server).unwrap_or_else(|error| panic!("{what}: {}", whole(&error)));
        assert_eq!(bench.program("v1"), PROGRAM, "{what}");
    }
    let Catalog::GitHub(github) = catalog(&GitHubServer::default());
    for (called, bytes) in [("node.zip", PROGRAM.to_vec()), ("node.tar.gz", zip_of(&items))] {
        let (bench, server) = (Bench::new(), GitHubServer::default());
        server.publish("v1", &[Asset::new(called, &bytes)]);
        let api = server.address().to_owned();
        let catalog = Catalog::GitHub(GitHub { api, asset: Naming::literal(called), ..github.clone() });
        let mut unheard = |_| {};
        let found = catalog.find(bench.world(&mut unheard), &name("v1"), patience()).unwrap();
        bench.fetch(&FetchRequest { addresses: vec![found.address], ..from(&[]) }).unwrap();
        assert_eq!(bench.program("v1"), PROGRAM, "{called}");
    }
}

#[test]
fn the_repository_can_be_greeted() {
    let (bench, server) = (Bench::new(), GitHubServer::default());
    let greet = || catalog(&server).greet(bench.world(&mut |_| {}), patience());
    assert_eq!(greet().unwrap(), "it answers; 57 more questions may be asked this hour");
    server.lock("hunter2");
    assert!(greet().is_err());
}

#[test]
fn a_checksum_of_another_kind_is_compared_beside_the_servers() {
    let (bench, server) = (Bench::new(), GitHubServer::default());
    let sha512 = "0".repeat(128);
    server.publish(
        "v1",
        &[
            Asset { digest: Some(digest_of(PROGRAM)), ..Asset::new(FILE, PROGRAM) },
            Asset::new("SHA512SUMS", format!("{sha512}  {FILE}").as_bytes()),
        ],
    );
    let found = find(&server, "v1").unwrap();
    assert_eq!(found.checksum.as_ref().map(Checksum::to_string), Some(format!("sha512:{sha512}")));
    assert!(fetch(&bench, &server).unwrap_err().to_string().starts_with("Checksums did not match for "));
}

#[test]
fn what_is_fetched_gets_what_it_does_not_bring() {
    let run = |mode| Addition { path: "conf/run.toml".to_owned(), contents: b"run".to_vec(), mode };
    let brought = [file("node", PROGRAM), directory("conf"), file("conf/run.toml", b"theirs")];
    let others = [file("node", PROGRAM), directory("conf"), file("conf/x", b"x")];
    for (what, bytes, expected) in [
        ("program", PROGRAM.to_vec(), "run"),
        ("archive", zip_of(&others), "run"),
        ("archive with it", zip_of(&brought), "theirs"),
    ] {
        let (bench, server) = (Bench::new(), GitHubServer::default());
        server.publish("v1", &[Asset::new(FILE, &bytes)]);
        let Found { address, .. } = find(&server, "v1").unwrap();
        let request = FetchRequest { addresses: vec![address], additions: vec![run(0o600)], ..from(&[]) };
        let staged = bench.fetch(&request).unwrap();
        assert_eq!(bench.program("v1"), PROGRAM, "{what}");
        let path = bench.layout.directory(&name("v1")).join("conf/run.toml");
        assert_eq!(std::fs::read_to_string(path).unwrap(), expected, "{what}");
        assert!(staged.provenance.entries.windows(2).all(|pair| pair[0].path() < pair[1].path()), "{what}");
        assert!(!bench.fetch(&request).unwrap().changed);
    }
}
