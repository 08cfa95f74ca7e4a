//! What is believed: checksums in all their forms, signatures, and what policies demand.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use ov_release::Digest;
use ov_release::fetch::{Checksum, Clause, FetchError, FetchRequest, Policy, Signer, own_platform};
use ov_types::Lasting;

use super::archives::{file, zip_of};
use super::bench::{Bench, from, whole};
use ov_testkit::{Reply, Server};

const PROGRAM: &[u8] = b"test";
const MD5: &str = "098f6bcd4621d373cade4e832627b4f6";
const SHA1: &str = "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3";
const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const SHA512: &str = "ee26b0dd4af7e749aa1a8ee3c10ae9923f618980772e473f8819a5d4940e0db27\
                      ac185f8a0e1d5f84f88bc887fd67b143732c304cc5fa9ad8e6f57f50028a8ff";
/// Made with minisign over the bytes `test`.
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
    RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
    trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
    wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";

/// Serves the program, lists of checksums, signatures and what a plan may refer to.
fn server() -> Server {
    Server::new(|question, _| {
        let path = question.path.split('?').next().unwrap_or_default();
        let text = match path {
            "/v2/linux/node" | "/v2/other" | "/stranger" | "/unsigned" => return Reply::whole(PROGRAM),
            "/changed" => return Reply::whole(b"tesT"),
            "/v2/gnu" => format!("{}  other\n{SHA256} *linux/node\n", "0".repeat(64)),
            "/v2/bsd" => format!("MD5 (other) = {}\nMD5 (node) = {MD5}\n", "0".repeat(32)),
            "/v2/others" => format!("{SHA256}  somebody-else\n"),
            "/v2/linux/node.minisig" | "/changed.minisig" => SIGNATURE.to_owned(),
            "/v2/other.minisig" => "<html>not found</html>".to_owned(),
            "/stranger.minisig" => SIGNATURE.replace("RUQf6LRC", "RUQf6LRD"),
            "/info.json" => r#"{"binaries":{"any":"https://a.example/node"}}"#.to_owned(),
            "/empty.json" => " ".to_owned(),
            "/again.json" => "https://a.example/info.json".to_owned(),
            _ => return Reply::status(404),
        };
        Reply::whole(text.as_bytes())
    })
}

fn result(query: &str, request: impl FnOnce(FetchRequest) -> FetchRequest) -> Result<Option<String>, String> {
    let (bench, server) = (Bench::new(), server());
    let query = query.replace("SERVER", &server.address);
    let result = bench.fetch(&request(from(&[server.url(&query)])));
    match result {
        Ok(staged) => {
            assert_eq!(bench.program("v1"), PROGRAM);
            Ok(staged.provenance.fetched.unwrap().checksum)
        }
        Err(error) => {
            // What is only not signed yet is kept; what is wrong is not.
            let is_kept = matches!(error, FetchError::NoSignature { .. });
            assert_eq!(bench.names(), if is_kept { vec![".fetching-v1"] } else { vec![] });
            Err(whole(&error).replace(&server.address, "SERVER"))
        }
    }
}

#[test]
fn every_form_of_checksum_is_compared_and_remembered() {
    for (name, digits) in [("md5", MD5), ("sha1", SHA1), ("sha256", SHA256), ("sha512", SHA512)] {
        let remembered = Ok(Some(format!("{name}:{digits}")));
        assert_eq!(result(&format!("/v2/linux/node?checksum={name}:{digits}"), |request| request), remembered);
        assert_eq!(result(&format!("/v2/linux/node?checksum={digits}"), |request| request), remembered);
        let wrong = format!("{name}:{}", "0".repeat(digits.len()));
        let expected =
            format!("Checksums did not match for SERVER/v2/linux/node. Expected: {wrong} Got: {name}:{digits}");
        assert_eq!(result(&format!("/v2/linux/node?checksum={wrong}"), |request| request), Err(expected));
    }
}

#[test]
fn lists_of_checksums_are_fetched_and_searched() {
    let listed = |list: &str| result(&format!("/v2/linux/node?checksum=file:SERVER/v2/{list}"), |request| request);
    assert_eq!(listed("gnu"), Ok(Some(format!("sha256:{SHA256}"))));
    assert_eq!(listed("bsd"), Ok(Some(format!("md5:{MD5}"))));
    let missing = "no checksum found in: SERVER/v2/others, for SERVER/v2/linux/node";
    assert_eq!(listed("others"), Err(missing.to_owned()));
    let nowhere = "fetch the list of checksums SERVER/v2/nowhere: get it: the server answers with status 404";
    assert_eq!(listed("nowhere"), Err(nowhere.to_owned()));
    let wrong = result("/v2/other?checksum=file:SERVER/v2/gnu", |request| request);
    assert!(wrong.unwrap_err().starts_with("Checksums did not match for SERVER/v2/other."));
}

#[test]
fn a_checksum_beside_the_address_counts_as_well() {
    let sha256 = Digest::of(PROGRAM);
    let with = |checksum: Checksum| move |request| FetchRequest { checksum: Some(checksum), ..request };
    assert!(result("/v2/linux/node", with(Checksum::sha256(sha256))).is_ok());
    assert!(result(&format!("/v2/linux/node?checksum=md5:{MD5}"), with(Checksum::sha256(sha256))).is_ok());
    let other = || Checksum::sha256(Digest::of(b"other"));
    assert!(result("/v2/linux/node", with(other())).unwrap_err().starts_with("Checksums did not match"));
    let both = result(&format!("/v2/linux/node?checksum={SHA256}"), with(other())).unwrap_err();
    assert_eq!(both, "fetch SERVER/v2/linux/node: its two checksums do not agree");
    let Ok(Clause::Value(sha1)) = Clause::parse(SHA1) else { panic!("it is a checksum") };
    let both = result(&format!("/v2/linux/node?checksum=md5:{MD5}"), with(sha1)).unwrap_err();
    assert_eq!(both, "fetch SERVER/v2/linux/node: its two checksums do not agree");
}

#[test]
fn what_the_program_must_hash_to_counts_for_what_is_in_an_archive() {
    let bench = Bench::new();
    let address = bench.write("in/node.zip", &zip_of(&[file("node", PROGRAM)])).display().to_string();
    let with = |digest| FetchRequest { sha256: Some(digest), ..from(std::slice::from_ref(&address)) };
    let error = bench.fetch(&with(Digest::of(b"other"))).unwrap_err();
    assert!(error.to_string().contains("the program's digest is"), "{error}");
    bench.fetch(&with(Digest::of(PROGRAM))).unwrap();
    assert!(bench.fetch(&with(Digest::of(b"other"))).is_err(), "also of what is there already");
    assert!(!bench.fetch(&with(Digest::of(PROGRAM))).unwrap().changed);
}

#[test]
fn a_policy_that_wants_checksums_gets_them() {
    let must = |request| FetchRequest { policy: Policy { must_have_checksum: true, ..Policy::default() }, ..request };
    assert!(result(&format!("/v2/linux/node?checksum={SHA256}"), must).is_ok());
    assert!(result("/v2/linux/node?checksum=file:SERVER/v2/gnu", must).is_ok());
    let refused = "fetch SERVER/v2/linux/node: it has no checksum, and the policy wants one";
    assert_eq!(result("/v2/linux/node", must), Err(refused.to_owned()));
}

#[test]
fn a_policy_that_names_signers_gets_a_signature_of_one_of_them() {
    let other = "RWSAAAAAAAAAAHmlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let keys = |keys: &[&str]| {
        let signers = keys.iter().map(|key| Signer::minisign(key).unwrap()).collect();
        let policy = Policy { signers, ..Policy::default() };
        move |request| FetchRequest { policy, ..request }
    };
    assert!(result("/v2/linux/node", keys(&[KEY])).is_ok());
    assert!(result("/v2/linux/node", keys(&[&format!("untrusted comment: key\n{KEY}\n")])).is_ok());
    for (path, why) in [
        (
            "/changed",
            format!(
                "accept SERVER/changed.minisig: check the signature of `minisign {KEY}`: \
                 the bytes are not those that were signed"
            ),
        ),
        (
            "/unsigned",
            "fetch the signature SERVER/unsigned.minisig: get it: the server answers with status 404".to_owned(),
        ),
    ] {
        assert_eq!(result(path, keys(&[KEY])).unwrap_err(), why);
    }
    for path in ["/stranger", "/v2/linux/node"] {
        let error = result(path, keys(&[if path == "/stranger" { KEY } else { other }])).unwrap_err();
        assert!(error.contains("find a key for the signature: none of the 1 key that count made it"), "{error}");
    }
    let error = result("/v2/other", keys(&[KEY])).unwrap_err();
    assert!(error.contains("it is of no form that the keys which count would have made"), "{error}");
    assert!(Signer::minisign("not a key").is_err());
}

const OPENPGP_KEY: &str = include_str!("../fixtures/openpgp-key.asc");

#[cfg(feature = "openpgp")]
#[test]
fn signatures_of_openpgp_count_as_well() {
    let other_key = include_str!("../fixtures/openpgp-other-key.asc");
    let by_subkey = include_bytes!("../fixtures/openpgp-test.asc");
    let by_other = include_bytes!("../fixtures/openpgp-other-test.sig");
    let server = Server::new(move |question, _| match question.path.as_str() {
        "/node" | "/raw" => Reply::whole(PROGRAM),
        "/changed" => Reply::whole(b"tesT"),
        "/node.asc" | "/changed.asc" => Reply::whole(by_subkey),
        "/raw.sig" => Reply::whole(by_other),
        _ => Reply::status(404),
    });
    let fetched = |path: &str, keys: &[&str]| {
        let signers = keys.iter().map(|key| Signer::openpgp(key).unwrap()).collect();
        let policy = Policy { signers, ..Policy::default() };
        let staged = Bench::new().fetch(&FetchRequest { policy, ..from(&[server.url(path)]) });
        staged.map(|staged| staged.provenance.fetched.unwrap().signer.unwrap()).map_err(|error| whole(&error))
    };
    let (primary, other) = ("9AFED6B4D62739EFE044198B14FD82F007B6DF1B", "2E0C8A29E7D98398B320C1469F40BF2F0794C95F");
    assert_eq!(fetched("/node", &[OPENPGP_KEY]), Ok(format!("openpgp {primary}")), "by a subkey");
    assert_eq!(fetched("/raw", &[OPENPGP_KEY, other_key]), Ok(format!("openpgp {other}")), "without armour");
    assert!(fetched("/node", &[other_key]).unwrap_err().contains("none of the 1 key that count made it"));
    assert!(fetched("/changed", &[OPENPGP_KEY]).unwrap_err().ends_with("the bytes are not those that were signed"));
    assert!(Signer::openpgp("nonsense").is_err());
}

#[cfg(not(feature = "openpgp"))]
#[test]
fn without_openpgp_its_keys_are_refused_with_that_reason() {
    let error = Signer::openpgp(OPENPGP_KEY).unwrap_err();
    assert!(error.to_string().ends_with("this program was built without OpenPGP"), "{error}");
}

#[test]
fn the_signer_is_remembered() {
    let (bench, server) = (Bench::new(), server());
    let signers = vec![Signer::minisign(KEY).unwrap()];
    let policy = Policy { signers, ..Policy::default() };
    let staged = bench.fetch(&FetchRequest { policy, ..from(&[server.url("/v2/linux/node")]) }).unwrap();
    assert_eq!(staged.provenance.fetched.unwrap().signer, Some(format!("minisign {KEY}")));
}

#[test]
fn a_plan_may_refer_to_its_information_once() {
    let (bench, server) = (Bench::new(), server());
    let info = bench.plan_info(&server.url("/info.json"), false).unwrap();
    assert_eq!(info.address_for(&own_platform()).unwrap().to_string(), "https://a.example/node");
    let why = |path: &str, must: bool| {
        whole(&bench.plan_info(&server.url(path), must).unwrap_err()).replace(&server.address, "SERVER")
    };
    assert_eq!(why("/info.json", true), "missing checksum query parameter");
    assert_eq!(why("/empty.json", false), "no content returned by \"SERVER/empty.json\"");
    assert!(why("/again.json", false).starts_with("could not parse plan info: "));
    assert_eq!(
        why("/nowhere.json", false),
        "could not download url \"SERVER/nowhere.json\": get it: the server answers with status 404"
    );
    assert!(why(&format!("/info.json?checksum=md5:{MD5}"), true).starts_with("Checksums did not match"));
    let error = bench.plan_info("  ", true).unwrap_err();
    assert!(matches!(error, FetchError::Info(_)));
    assert_eq!((error.to_string().as_str(), error.lasting()), ("plan info must not be blank", Lasting::Permanent));
}
